# Confs that are refused, and what is left behind: nothing.
real nolocation 1.0
sed -i /DEST_MODULE_LOCATION/d /usr/src/nolocation-1.0/dkms.conf
differs conf-without-location 8 0 dkms add nolocation/1.0
run dkms remove nolocation/1.0 --all >/dev/null
real wrongplace 1.0 'DEST_MODULE_LOCATION[0]="/somewhere"'
run dkms add wrongplace/1.0
real noname 1.0
sed -i /PACKAGE_/d /usr/src/noname-1.0/dkms.conf
run dkms add noname/1.0
real suffix 1.0 'BUILT_MODULE_NAME[0]="suffix.ko"'
run dkms add suffix/1.0
real gap 1.0 'BUILT_MODULE_NAME[1]="x"'
run dkms add gap/1.0
real leaves 1.0 'exit 0'
run dkms add leaves/1.0
real empty 1.0
: >/usr/src/empty-1.0/dkms.conf
run dkms add empty/1.0
real yes 1.0 'AUTOINSTALL="true"'
differs strict-yes-no 0 8 dkms add yes/1.0
run dkms remove yes/1.0 --all >/dev/null
show
status
