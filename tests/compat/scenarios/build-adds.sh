# build and install add what is not added.
fast foo 1.0
run dkms build -m foo -v 1.0 -k "$K2"
status
run dkms remove foo/1.0 --all
status
run dkms install foo/1.0 -k "$K2/$A"
status
show
