# The package named by its conf.
mkdir /srv/src
fast foo 1.0
mv /usr/src/foo-1.0 /srv/src/foo
run dkms add /srv/src/foo/dkms.conf
status
show
ls /usr/src/foo-1.0
