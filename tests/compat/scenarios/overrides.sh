# Files in /etc/dkms named after the package beat its own conf.
fast foo 1.0
mkdir -p /etc/dkms
echo 'DEST_MODULE_NAME[0]="named"' >/etc/dkms/foo.conf
run dkms install foo/1.0 -k "$K1"
meant overrides-status dkms status
show
run dkms remove foo/1.0 --all
echo 'DEST_MODULE_NAME[0]="other"' >"/etc/dkms/foo-1.0-$K1.conf"
run dkms install foo/1.0 -k "$K1"
run dkms install foo/1.0 -k "$K2"
show
run dkms remove foo/1.0 --all
show
