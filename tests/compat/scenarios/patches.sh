# PATCH: applied to the copy, never to the source.
real hello 1.0 'PATCH[0]="one.patch"' 'PATCH[1]="other.patch"' 'PATCH_MATCH[1]="^9\."'
mkdir /usr/src/hello-1.0/patches
cat >/usr/src/hello-1.0/patches/one.patch <<'PATCH'
--- a/hello.c
+++ b/hello.c
@@ -23,3 +23,3 @@
 module_exit(hello_exit);
-MODULE_DESCRIPTION("Out-of-tree module for the tests");
+MODULE_DESCRIPTION("patched");
 MODULE_VERSION(HELLO_VERSION);
PATCH
run dkms build hello/1.0 -k "$K1"
modinfo -F description "$T/hello/1.0/$K1/$A/module/hello.ko"
grep -c patched /usr/src/hello-1.0/hello.c
run dkms remove hello/1.0 --all
echo garbage >/usr/src/hello-1.0/hello.c
run dkms build hello/1.0 -k "$K1"
status
show | grep -v make.log
run dkms remove hello/1.0 --all
rm /usr/src/hello-1.0/patches/one.patch
run dkms build hello/1.0 -k "$K1"
status
show | grep -v make.log
