# 'make' in quotes is not given options.
fast foo 1.0 "MAKE[0]=\"'make' -f quoted.mk\""
printf 'all:\n\tcp ready.bin foo.ko\n\techo "flags <$(KERNELRELEASE)>" >/tmp/flags\n' >/usr/src/foo-1.0/quoted.mk
run dkms build foo/1.0 -k "$K1"
cat /tmp/flags
status
