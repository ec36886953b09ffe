# A package that was never built.
fast foo 1.0
run dkms add foo/1.0
run dkms remove foo/1.0 --all
status
show
ls -d /usr/src/foo-1.0
