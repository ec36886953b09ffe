# A dependency that fails.
fast base 1.0 'MAKE[0]="false"'
fast top 1.0 'BUILD_DEPENDS[0]="base"'
fast free 1.0
for p in base top free; do run dkms add $p/1.0; done
run dkms autoinstall -k "$K1"
status
