# Autoinstall: the newest version of each package that wants it, nothing twice.
fast foo 1.0
fast bar 1.0
fast bar 2.0
fast no 1.0
sed -i /AUTOINSTALL/d /usr/src/no-1.0/dkms.conf
for package in foo/1.0 bar/1.0 bar/2.0 no/1.0; do run dkms add $package; done
run dkms autoinstall -k "$K1"
status
show
meant autoinstall-falls-back dkms autoinstall -k "$K1"
run dkms remove bar/1.0 --all
run dkms install bar/2.0 -k "$K1" --force
run dkms autoinstall -k "$K1"
run dkms autoinstall --kernelver="$K2"
run dkms autoinstall foo/1.0 --kernelver "$K2"
status
