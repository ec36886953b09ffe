# Both take turns on one tree.
fast foo 1.0
fast bar 1.0
run dkms install foo/1.0 -k "$K1"
hand_over
run dkms install bar/1.0 -k "$K1"
run dkms install foo/1.0 -k "$K2"
status
umount "$(command -v dkms)"
status
run dkms uninstall bar/1.0 -k "$K1"
run dkms remove foo/1.0 -k "$K2"
status
run dkms remove bar/1.0 --all
run dkms remove foo/1.0 --all
show
