# Without root: looking is free, changing is refused.
fast foo 1.0
user() { setpriv --reuid 1000 --clear-groups "$@"; }
run user dkms add foo/1.0
run dkms install foo/1.0 -k "$K1"
code=0
user dkms status || code=$?
echo "[$code]"
run user dkms build foo/1.0 -k "$K2"
run user dkms uninstall foo/1.0 -k "$K1"
run user dkms remove foo/1.0 --all
run user dkms autoinstall -k "$K2"
status
