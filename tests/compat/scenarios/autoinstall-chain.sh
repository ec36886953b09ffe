# Three that depend on each other.
fast one 1.0
fast two 1.0 'BUILD_DEPENDS[0]="one"'
fast abc 1.0 'BUILD_DEPENDS[0]="two"'
for p in abc one two; do run dkms add $p/1.0; done
run dkms autoinstall -k "$K1"
status
