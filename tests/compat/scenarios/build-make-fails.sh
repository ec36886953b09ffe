# A make command that fails leaves its log.
fast foo 1.0 'MAKE[0]="echo from make; exit 3"'
run dkms build foo/1.0 -k "$K1"
grep -cx 'from make' "$T/foo/1.0/build/make.log"
status
show
