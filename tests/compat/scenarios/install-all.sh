# One installation for every kernel that has headers.
fast foo 1.0
differs install-all 5 0 dkms install foo/1.0 --all
run dkms install foo/1.0 --all -k "$K1"
run dkms install foo/1.0 --all -a "$A"
