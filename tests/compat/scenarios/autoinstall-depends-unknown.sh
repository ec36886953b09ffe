# An unknown dependency.
fast foo 1.0 'BUILD_DEPENDS[0]="unknown"'
fast bar 1.0
run dkms add foo/1.0
run dkms add bar/1.0
differs depends-unknown 11 0 dkms autoinstall -k "$K1"
status
