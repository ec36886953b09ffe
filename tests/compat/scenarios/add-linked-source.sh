# A source tree that is a link, as developers make it.
fast foo 1.0
mv /usr/src/foo-1.0 /srv/foo
ln -sfT /srv/foo /usr/src/foo-1.0
run dkms add foo/1.0
run dkms install foo/1.0 -k "$K1"
status
run dkms remove foo/1.0 --all
status
ls -d /srv/foo/dkms.conf
