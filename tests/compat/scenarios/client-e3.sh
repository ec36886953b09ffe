# The makefiles of e3.
fast foo 1.0
run dkms add -m foo -v 1.0
run dkms build -m foo -v 1.0 -k "$K1"
run dkms install -m foo -v 1.0 -k "$K1"
run dkms uninstall -m foo -v 1.0 -k "$K1"
run dkms remove foo/1.0 --all
rm -rf /usr/src/foo-1.0
status
