# build and install take a source directory or its dkms.conf.
fast foo 1.0
mv /usr/src/foo-1.0 /tmp/work
run dkms build /tmp/work -k "$K1"
status
differs build-added-directory 3 0 dkms build /tmp/work -k "$K2"
run dkms remove foo/1.0 --all
cd /tmp/work || exit
run dkms install . -k "$K1"
status
run dkms remove foo/1.0 --all
run dkms install ./dkms.conf -k "$K2"
status
show
