# Unbuilding takes out of the kernel first.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
run dkms unbuild foo/1.0 -k "$K1"
status
show
run dkms unbuild foo/1.0 -k "$K1"
