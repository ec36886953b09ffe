# Where the log is, and that it holds what make said.
fast foo 1.0 'MAKE[0]="echo said by make; cp ready.bin foo.ko"'
run dkms build foo/1.0 -k "$K1"
log=$T/foo/1.0/$K1/$A/log/make.log
grep -cx 'said by make' "$log"
head -n 1 "$log" | grep -c '^DKMS.* make.log for foo.1.0 for kernel'
head -n 1 "$log" | grep -c "$K1 ($A)"
ls "$T/foo/1.0"
