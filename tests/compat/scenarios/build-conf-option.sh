# -c for a build.
fast foo 1.0
sed 's|cp ready.bin|touch /tmp/by-c; cp ready.bin|' /usr/src/foo-1.0/dkms.conf >/srv/c.conf
run dkms build foo/1.0 -k "$K1" -c /srv/c.conf
ls /tmp/by-c
status
