# Steps that are left out once they are done.
fast foo 1.0
for _ in 1 2; do
    dkms status -m foo -v 1.0 | grep -q : || run dkms add -m foo -v 1.0
    dkms status -m foo -v 1.0 -k "$K1" | grep -qE ': (built|installed)' || run dkms build -m foo -v 1.0 -k "$K1"
    dkms status -m foo -v 1.0 -k "$K1" | grep -q ': installed' || run dkms install -m foo -v 1.0 -k "$K1"
done
status
