# The life of a package, step by step, through the kernel's makefiles.
real hello 1.0
run dkms build hello/1.0 -k "$K1"
show
status
says "Module hello/1.0 already built for kernel $K1 ($A), skip." dkms build hello/1.0 -k "$K1"
run dkms build hello/1.0 -k "$K1" --force
show
status
modinfo -F vermagic "$T/hello/1.0/$K1/$A/module/hello.ko"
run dkms unbuild hello/1.0 -k "$K1"
show
status
