# A directory of a package that is there already.
fast foo 1.0
cp -r /usr/src/foo-1.0 /srv/foo
run dkms add foo/1.0
run dkms add /srv/foo
status
