# The name as a word, the version as an option.
fast foo 1.0
run dkms add foo -v 1.0
run dkms build foo --force -v 1.0 -k "$K1"
run dkms install foo -v 1.0 -k "$K1"
status
