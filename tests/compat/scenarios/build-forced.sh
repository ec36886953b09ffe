# A forced one replaces the first.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
cp /compat/ready/2.0.ko /usr/src/foo-1.0/ready.bin
run dkms build foo/1.0 -k "$K1" --force
modinfo -F version "$T/foo/1.0/$K1/$A/module/foo.ko"
status
