# BUILD_DEPENDS: autoinstall goes in order; a missing one fails the dependent only.
fast aaa 1.0 'BUILD_DEPENDS[0]="zzz"'
fast zzz 1.0
run dkms add aaa/1.0
differs build-depends-13 0 13 dkms build aaa/1.0 -k "$K1"
run dkms remove aaa/1.0 --all
run dkms add aaa/1.0
run dkms add zzz/1.0
run dkms autoinstall -k "$K1"
status
run dkms remove aaa/1.0 --all
fast loop 1.0 'BUILD_DEPENDS[0]="loop"'
run dkms add loop/1.0
run dkms autoinstall -k "$K1"
status
