# Modules below directories of the source.
package foo 1.0
mkdir /usr/src/foo-1.0/sub
cp /compat/ready/1.0.ko /usr/src/foo-1.0/ready.bin
cat >/usr/src/foo-1.0/dkms.conf <<'CONF'
PACKAGE_NAME=foo
PACKAGE_VERSION=1.0
BUILT_MODULE_NAME[0]=one
BUILT_MODULE_LOCATION[0]=sub/
DEST_MODULE_LOCATION[0]=/kernel/drivers/misc
BUILT_MODULE_NAME[1]=two
DEST_MODULE_NAME[1]=renamed
DEST_MODULE_LOCATION[1]=/kernel/drivers/misc
MAKE="cp ready.bin sub/one.ko; cp ready.bin two.ko"
CLEAN=true
CONF
run dkms install foo/1.0 -k "$K1"
status
show
