# Two versions: one is active at a time.
fast foo 1.0
fast foo 2.0
run dkms install foo/1.0 -k "$K1"
run dkms install foo/2.0 -k "$K1"
status
show
run dkms uninstall foo/2.0 -k "$K1"
status
run dkms install foo/1.0 -k "$K1"
status
run dkms remove foo/1.0 --all
status
run dkms install foo/2.0 -k "$K1"
status
run dkms remove foo/2.0 --all
show
