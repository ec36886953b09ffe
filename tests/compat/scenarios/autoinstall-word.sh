# A package behind autoinstall is of no meaning.
fast foo 1.0
fast bar 1.0
run dkms add foo/1.0
run dkms add bar/1.0
run dkms autoinstall foo/1.0 -k "$K1"
status
