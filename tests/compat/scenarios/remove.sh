# Remove per kernel, for all, and of what is not there.
fast foo 1.0
run dkms remove foo/1.0 --all
run dkms remove foo --all
run dkms remove
run dkms install foo/1.0 -k "$K1"
run dkms build foo/1.0 -k "$K2"
run dkms remove foo/1.0 -k "$K1"
status
show
run dkms remove foo/1.0
status
run dkms remove foo/1.0 -k "$K2"
status
show
run dkms add foo/1.0
run dkms remove foo/1.0 --all
show
ls -d /usr/src/foo-1.0
