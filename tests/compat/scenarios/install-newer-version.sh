# A newer version takes over; the older one stays built.
fast foo 1.0
fast foo 2.0
run dkms install foo/1.0 -k "$K1"
run dkms install foo/2.0 -k "$K1"
status
modinfo -F version "/lib/modules/$K1/updates/dkms/foo.ko"
readlink "$T/foo/kernel-$K1-$A"
run dkms remove foo/2.0 --all
status
show
