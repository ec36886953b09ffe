# make succeeds, the module is not there: 7.
real foo 1.0 'MAKE[0]="true"' 'CLEAN="true"'
run dkms build foo/1.0 -k "$K1"
status
show
run dkms remove foo/1.0 --all
show
