# Arrays as lists.
package foo 1.0
cp /compat/ready/1.0.ko /usr/src/foo-1.0/ready.bin
cat >/usr/src/foo-1.0/dkms.conf <<'CONF'
PACKAGE_NAME=foo
PACKAGE_VERSION=1.0
BUILT_MODULE_NAME=(foo bar)
DEST_MODULE_LOCATION=(/extra /extra)
MAKE="cp ready.bin foo.ko; cp ready.bin bar.ko"
CLEAN=true
AUTOINSTALL=yes
CONF
run dkms build foo/1.0 -k "$K1"
status
show
