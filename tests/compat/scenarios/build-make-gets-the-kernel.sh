# make learns which kernel it is for.
fast foo 1.0 'MAKE[0]="make -f plain.mk"'
printf 'all:\n\tcp ready.bin foo.ko\n\techo "<$(KERNELRELEASE)>" >/tmp/flags\n' >/usr/src/foo-1.0/plain.mk
run dkms build foo/1.0 -k "$K1"
cat /tmp/flags
