# The newest version does not build: the older one serves the kernel.
fast foo 1.0
fast foo 2.0 'MAKE[0]="false"'
for v in 1.0 2.0; do run dkms add foo/$v; done
differs autoinstall-older 11 0 dkms autoinstall -k "$K1"
