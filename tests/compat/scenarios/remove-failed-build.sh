# What a failed build leaves goes too.
fast foo 1.0 'MAKE[0]="false"'
run dkms build foo/1.0 -k "$K1"
run dkms remove foo/1.0 --all
show
status
