# A source without a conf.
mkdir /usr/src/foo-1.0
run dkms add foo/1.0
run dkms add /usr/src/foo-1.0
status
show
