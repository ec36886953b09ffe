# Unbuild takes back install and build, one kernel or all.
fast foo 1.0
run dkms unbuild foo/1.0 -k "$K1"
run dkms install foo/1.0 -k "$K1" -k "$K2"
status
run dkms unbuild foo/1.0 -k "$K1"
status
show
run dkms unbuild foo/1.0 -k "$K1"
run dkms unbuild foo/1.0 --all
status
show
