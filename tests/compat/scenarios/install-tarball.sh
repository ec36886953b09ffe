# A tarball by its name.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
run dkms mktarball foo/1.0 -k "$K1"
cp "$T"/foo/1.0/tarball/*.gz /srv/f.tar.gz
run dkms remove foo/1.0 --all
rm -r /usr/src/foo-1.0
differs install-tarball 3 0 dkms install /srv/f.tar.gz -k "$K1"
status foo/2.0
