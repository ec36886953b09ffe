# A newer version beside an installed one.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
fast foo 2.0
run dkms add foo/2.0
run dkms autoinstall -k "$K1"
status
