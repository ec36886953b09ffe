# A kernel that has no build.
fast foo 1.0
run dkms add foo/1.0
run dkms mktarball foo/1.0 -k "$K1"
status
