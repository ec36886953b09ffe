# One kernel's lines, and the packages that it has not.
fast foo 1.0
fast bar 1.0
run dkms build foo/1.0 -k "$K1"
run dkms add bar/1.0
status -k "$K1"
status -k "$K2"
status -m foo -k "$K1"
status -k "$K1/$A"
