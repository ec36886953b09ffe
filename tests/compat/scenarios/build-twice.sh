# A second build does nothing.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
run dkms build foo/1.0 -k "$K1"
status
show
