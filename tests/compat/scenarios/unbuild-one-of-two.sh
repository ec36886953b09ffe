# One kernel's build goes, the other stays.
fast foo 1.0
run dkms build foo/1.0 -k "$K1" -k "$K2"
run dkms unbuild foo/1.0 -k "$K1"
status
show
