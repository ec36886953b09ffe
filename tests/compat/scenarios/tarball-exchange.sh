# A tarball that one side writes is loaded by the other.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
run dkms mktarball foo/1.0 -k "$K1" --archive=full.tar.gz
run dkms mktarball foo/1.0 --source-only --archive=source.tar.xz
cp "$T"/foo/1.0/tarball/* /tmp
run dkms remove foo/1.0 --all
rm -r /usr/src/foo-1.0
hand_over
run dkms ldtarball /tmp/full.tar.gz
status
run dkms install foo/1.0 -k "$K1"
run dkms remove foo/1.0 --all
rm -r /usr/src/foo-1.0
run dkms ldtarball /tmp/source.tar.xz
status
run dkms install foo/1.0 -k "$K1"
status
