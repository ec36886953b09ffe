# A directory.
fast foo 1.0
mv /usr/src/foo-1.0 /srv/foo
run dkms install /srv/foo -k "$K1"
status
run dkms install /srv/foo -k "$K1"
