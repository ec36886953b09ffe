# Versions stand side by side.
fast foo 1.0
fast foo 2.0
run dkms add foo/1.0
run dkms add foo/2.0
status
show
run dkms remove foo/1.0 --all
status
