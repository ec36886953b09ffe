# What dh_dkms writes into packages.
fast foo 1.0
if [ "$(dkms status -m foo -v 1.0)" ]; then echo there; fi
run dkms add -m foo -v 1.0
run dkms build -m foo -v 1.0 -k "$K1"
run dkms install -m foo -v 1.0 -k "$K1"
if [ "$(dkms status -m foo -v 1.0)" ]; then run dkms remove -m foo -v 1.0 --all; fi
status
