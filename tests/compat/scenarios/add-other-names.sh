# The directory's name decides, not what the conf says.
fast foo 1.0 'PACKAGE_VERSION="9.9"'
run dkms add foo/1.0
status
run dkms add foo/9.9
