# Several -k on one line, --all over what exists.
fast foo 1.0
run dkms install foo/1.0 -k "$K1" -k "$K2"
status
show
status -k "$K1"
status -k "$K1" -k "$K2"
run dkms uninstall foo/1.0 --all
status
run dkms install foo/1.0 -k "$K2" -k "$K1"
run dkms remove foo/1.0 --all
status
show
