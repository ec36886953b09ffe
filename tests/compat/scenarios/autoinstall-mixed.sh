# One that fails, one that is excluded, one that works: the working one is installed.
fast bad 1.0 'MAKE[0]="false"'
fast good 1.0
for package in bad/1.0 good/1.0; do run dkms add $package; done
run dkms autoinstall -k "$K1"
status
run dkms autoinstall -k "$K1"
run dkms remove bad/1.0 --all
run dkms autoinstall -k "$K1"
fast out 1.0 'BUILD_EXCLUSIVE_KERNEL="^9\."'
run dkms add out/1.0
differs autoinstall-skips 11 0 dkms autoinstall -k "$K1"
differs headers-21 11 21 dkms autoinstall
status
