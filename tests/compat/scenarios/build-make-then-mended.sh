# After a failure the next attempt starts anew.
fast foo 1.0
mv /usr/src/foo-1.0/ready.bin /srv/
run dkms build foo/1.0 -k "$K1"
show
mv /srv/ready.bin /usr/src/foo-1.0/
run dkms build foo/1.0 -k "$K1"
status
show
