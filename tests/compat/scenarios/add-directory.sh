# A source directory anywhere is copied to /usr/src first.
fast foo 1.0
mv /usr/src/foo-1.0 /tmp/work
chmod 640 /tmp/work/hello.c
mkdir /tmp/work/sub
echo x >/tmp/work/.hidden
run dkms add /tmp/work
show
find /usr/src/foo-1.0 ! -name .hidden -printf '%m %P\n' | sort
differs hidden-copied 1 0 test -e /usr/src/foo-1.0/.hidden
status
run dkms remove foo/1.0 --all
cd /tmp/work || exit
run dkms add .
run dkms remove foo/1.0 --all
run dkms add ./dkms.conf
status
