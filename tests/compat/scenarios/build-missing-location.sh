# A record without its destination.
fast foo 1.0 'BUILT_MODULE_NAME[1]="bar"'
run dkms build foo/1.0 -k "$K1"
status
