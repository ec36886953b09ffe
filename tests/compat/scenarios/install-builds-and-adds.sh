# One word for everything.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
status
show
