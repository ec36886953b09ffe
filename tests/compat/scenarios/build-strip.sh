# STRIP=no keeps what the compiler wrote.
fast foo 1.0 'STRIP[0]="no"'
run dkms build foo/1.0 -k "$K1"
# A signature may follow.
cmp -n "$(stat -c %s /usr/src/foo-1.0/ready.bin)" /usr/src/foo-1.0/ready.bin "$T/foo/1.0/$K1/$A/module/foo.ko" && echo same
status
