# The architecture is an opaque word: amd64 lives beside x86_64.
fast foo 1.0
run dkms install foo/1.0 -k "$K1" -a amd64
status
show
run dkms build foo/1.0 -k "$K1"
status
run dkms remove foo/1.0 --all
status
show
