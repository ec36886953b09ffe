# A failing make: 10, the log stays, nothing else does.
real foo 1.0 'MAKE[0]="make nosuchtarget"'
says "Bad return status for module build on kernel: $K1 ($A)" dkms build foo/1.0 -k "$K1"
says "Consult $T/foo/1.0/build/make.log for more information." dkms build foo/1.0 -k "$K1"
status
show
grep -c 'No rule to make target' "$T/foo/1.0/build/make.log"
run dkms install foo/1.0 -k "$K1"
status
sed -i 's/nosuchtarget/-C $kernel_source_dir M=$dkms_tree\/foo\/1.0\/build/' /usr/src/foo-1.0/dkms.conf
run dkms build foo/1.0 -k "$K1"
status
show
