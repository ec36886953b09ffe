# Uninstall, also of what is not installed.
fast foo 1.0
run dkms uninstall foo/1.0 -k "$K1"
run dkms add foo/1.0
run dkms uninstall foo/1.0 -k "$K1"
run dkms install foo/1.0 -k "$K1"
run dkms uninstall foo/1.0 -k "$K1"
status
show
grep -c foo.ko "/lib/modules/$K1/modules.dep"
run dkms uninstall foo/1.0 -k "$K1"
run dkms install foo/1.0 -k "$K1"
status
run dkms uninstall foo/1.0 --all
status
