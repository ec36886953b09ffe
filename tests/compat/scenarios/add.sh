# A package is added from /usr/src, once.
fast foo 1.0
run dkms add foo/1.0
show
status
run dkms add foo/1.0
run dkms add -m foo -v 1.0
run dkms add -m foo/1.0
show
