# Patches in a subdirectory.
fast foo 1.0 'PATCH[0]="sub/one.patch"'
mkdir -p /usr/src/foo-1.0/patches/sub
printf -- '--- /dev/null\n+++ b/made-by-patch\n@@ -0,0 +1 @@\n+yes\n' >/usr/src/foo-1.0/patches/sub/one.patch
sed -i 's/cp ready.bin/cat made-by-patch >\/tmp\/seen; cp ready.bin/' /usr/src/foo-1.0/dkms.conf
run dkms build foo/1.0 -k "$K1"
cat /tmp/seen
