# A kernel with its architecture in one word.
fast foo 1.0
run dkms build foo/1.0 -k "$K1/$A"
status
