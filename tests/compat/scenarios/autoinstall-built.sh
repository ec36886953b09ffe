# What is built is installed.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
run dkms autoinstall -k "$K1"
status
