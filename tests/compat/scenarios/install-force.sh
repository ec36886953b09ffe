# --force in all its places.
fast foo 1.0
run dkms install foo/1.0 -k "$K1" --force
run dkms install foo/1.0 -k "$K1" --force
status
run dkms build foo/1.0 -k "$K1" --force
status
run dkms install --force -m foo -v 1.0 -k "$K1"
run dkms add foo/1.0 --force
run dkms remove --force foo/1.0 --all
status
show
