# Names with the suffix of a file.
fast foo 1.0 'BUILT_MODULE_NAME[0]="foo.ko"'
run dkms add foo/1.0
fast bar 1.0 'DEST_MODULE_NAME[0]="bar.o"'
run dkms add bar/1.0
status
