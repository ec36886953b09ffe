# A Makefile that builds for one kernel, whatever it is asked for.
real hello 1.0 "MAKE[0]=\"make -C /lib/modules/$K1/build M=\$dkms_tree/hello/1.0/build\""
run dkms build hello/1.0 -k "$K1"
differs vermagic 0 7 dkms build hello/1.0 -k "$K2"
status -k "$K1"
