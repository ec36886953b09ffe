# The switch-off: /etc/dkms/no-autoinstall.
fast foo 1.0
run dkms add foo/1.0
mkdir -p /etc/dkms
touch /etc/dkms/no-autoinstall
meant no-autoinstall dkms autoinstall -k "$K1"
rm /etc/dkms/no-autoinstall
run dkms autoinstall -k "$K1"
run dkms autoinstall -k "$K1" --all
differs autoinstall-one-kernel 0 4 dkms autoinstall -k "$K1" -k "$K2"
status
