# The scripts of Arch.
fast foo 1.0
run dkms install --no-depmod foo/1.0 -k "$K1"
dkms status -k "$K1" | grep -cE "^([^/]+/[^,]+), $K1, [^:]+: (built|installed)"
run dkms remove --no-depmod foo/1.0 -k "$K1"
run dkms add foo/1.0
run dkms remove foo/1.0
status
