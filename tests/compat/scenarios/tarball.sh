# mktarball and ldtarball, with and without binaries.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
run dkms mktarball foo/1.0 -k "$K1" --archive=/srv/full.tar.gz
find / -xdev -name full.tar.gz -exec cp {} /tmp/carried.tar.gz \; 2>/dev/null
tar tf /tmp/carried.tar.gz | sed 's|^\./||' | grep -v '/\.\|^\.' | grep -v '^$' | LC_ALL=C sort
run dkms remove foo/1.0 --all
rm -r /usr/src/foo-1.0
run dkms ldtarball /tmp/carried.tar.gz
status
show "$T/foo"
ls -d /usr/src/foo-1.0
run dkms install foo/1.0 -k "$K1"
run dkms ldtarball --archive /tmp/carried.tar.gz
run dkms remove foo/1.0 --all
run dkms add /tmp/carried.tar.gz
status
