# A conf elsewhere in place of the package's own.
fast foo 1.0
mv /usr/src/foo-1.0/dkms.conf /srv/other.conf
run dkms add foo/1.0
run dkms add foo/1.0 -c /srv/other.conf
run dkms add foo/1.0 -c /srv/missing.conf
status
