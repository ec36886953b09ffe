# Once more is no error.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
run dkms uninstall foo/1.0 -k "$K1"
run dkms uninstall foo/1.0 -k "$K1"
status
show
