# Of what is only built or added.
fast foo 1.0
run dkms add foo/1.0
run dkms uninstall foo/1.0 -k "$K1"
run dkms build foo/1.0 -k "$K1"
run dkms uninstall foo/1.0 -k "$K1"
status
