# Another version is another package.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
run dkms remove foo/2.0 --all
run dkms remove foo --all
status
