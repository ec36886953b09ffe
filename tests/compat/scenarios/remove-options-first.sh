# --all in front, --force beside it.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
run dkms remove --all --force -m foo -v 1.0
status
show
