# Two modules in one package, one of them renamed and in a subdirectory.
fast foo 1.0 'BUILT_MODULE_NAME[1]="bar"' 'BUILT_MODULE_LOCATION[1]="sub"' 'DEST_MODULE_NAME[1]="baz"' \
    'DEST_MODULE_LOCATION[1]="/kernel/drivers/net"' 'MAKE[0]="cp ready.bin foo.ko \&\& mkdir -p sub \&\& cp ready.bin sub/bar.ko"'
sed -i 's/\\&/\&/g' /usr/src/foo-1.0/dkms.conf
run dkms install foo/1.0 -k "$K1"
show
status
rm "/lib/modules/$K1/updates/dkms/foo.ko"
meant status-suffixes dkms status
run dkms uninstall foo/1.0 -k "$K1"
show
status
