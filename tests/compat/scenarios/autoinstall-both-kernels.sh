# One kernel after the other.
fast foo 1.0
run dkms add foo/1.0
run dkms autoinstall --kernelver "$K1"
run dkms autoinstall --kernelver "$K2" --verbose
status
