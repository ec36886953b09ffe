# A module made by the kernel's makefiles names its kernel.
real hello 1.0
run dkms install hello/1.0 -k "$K1"
modinfo -F vermagic "/lib/modules/$K1/updates/dkms/hello.ko" | cut -d' ' -f1
status
