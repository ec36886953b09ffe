# A tree written by one is read, uninstalled and removed by the other; played on either side, so both ways are tested.
fast foo 1.0
fast foo 2.0
fast bar 1.0
real hello 1.0
fast later 1.0
run dkms install foo/1.0 -k "$K1"
run dkms install foo/1.0 -k "$K2"
run dkms install foo/2.0 -k "$K2"
run dkms build bar/1.0 -k "$K1"
run dkms install hello/1.0 -k "$K1"
run dkms install hello/1.0 -k "$K2"
run dkms add later/1.0
status
hand_over
status
status foo -k "$K2"
run dkms install foo/2.0 -k "$K2"
run dkms install bar/1.0 -k "$K1"
run dkms build hello/1.0 -k "$K1"
run dkms autoinstall -k "$K1"
status
run dkms uninstall hello/1.0 -k "$K1"
status
run dkms unbuild hello/1.0 -k "$K2"
status
run dkms remove hello/1.0 --all
run dkms remove foo/2.0 --all
status
run dkms remove foo/1.0 --all
run dkms remove bar/1.0 --all
run dkms remove later/1.0 --all
status
show
