# What is there is not loaded again.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
run dkms mktarball foo/1.0 -k "$K1" --archive one.tar.gz
cp "$T/foo/1.0/tarball/one.tar.gz" /srv/
run dkms remove foo/1.0 --all
run dkms ldtarball /srv/one.tar.gz
run dkms ldtarball /srv/one.tar.gz
status
