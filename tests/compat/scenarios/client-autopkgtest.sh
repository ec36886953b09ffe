# Debian's tests of driver packages.
touch /etc/dkms/no-autoinstall
fast foo 1.0
run dkms build -m foo -v 1.0 -k "$K1"
run dkms install --force -m foo -v 1.0 -k "$K1"
dkms status foo -k "$K1" | grep -cE 'installed( \(Original modules exist\))?$'
