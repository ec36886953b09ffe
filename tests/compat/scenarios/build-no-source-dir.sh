# The source goes after the package was added.
fast foo 1.0
run dkms add foo/1.0
rm -r /usr/src/foo-1.0
run dkms build foo/1.0 -k "$K1"
