# For one kernel: the package stays for the other.
fast foo 1.0
run dkms install foo/1.0 -k "$K1" -k "$K2"
run dkms remove foo/1.0 -k "$K1"
status
run dkms remove foo/1.0 -k "$K2"
status
show
