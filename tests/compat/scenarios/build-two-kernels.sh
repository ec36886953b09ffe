# Both kernels in one call.
fast foo 1.0
run dkms build foo/1.0 -k "$K1" -k "$K2"
status
show
