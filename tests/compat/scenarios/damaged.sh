# Files that vanish or change after the install.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
rm "/lib/modules/$K1/updates/dkms/foo.ko"
meant status-suffixes dkms status
run dkms uninstall foo/1.0 -k "$K1"
status
show "$T"
run dkms install foo/1.0 -k "$K1"
cp /compat/ready/2.0.ko "/lib/modules/$K1/updates/dkms/foo.ko"
meant status-suffixes dkms status
run dkms install foo/1.0 -k "$K1" --force
status
