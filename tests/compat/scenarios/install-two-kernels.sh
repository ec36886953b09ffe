# For two kernels, and out again.
fast foo 1.0
run dkms install foo/1.0 -k "$K1" -k "$K2"
status
run dkms uninstall foo/1.0 --all
status
show
