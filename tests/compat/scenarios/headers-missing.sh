# A kernel without headers.
fast foo 1.0
run dkms add foo/1.0
differs headers-21 1 21 dkms build foo/1.0 -k 9.9.9-none
differs headers-21 1 21 dkms install foo/1.0 -k 9.9.9-none
status
rm "/lib/modules/$K2/build"
differs headers-21 1 21 dkms build foo/1.0 -k "$K2"
status
show
