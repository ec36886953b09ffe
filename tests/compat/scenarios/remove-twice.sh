# The second time it is not there.
fast foo 1.0
run dkms add foo/1.0
run dkms remove foo/1.0 --all
run dkms remove foo/1.0 --all
