# The name tells the kernel.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
run dkms mktarball foo/1.0 -k "$K1"
ls "$T/foo/1.0/tarball"
