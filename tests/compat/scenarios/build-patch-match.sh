# A patch for another kernel.
fast foo 1.0 'PATCH[0]="no.patch"' 'PATCH_MATCH[0]="^9"'
mkdir /usr/src/foo-1.0/patches
echo garbage >/usr/src/foo-1.0/patches/no.patch
run dkms build foo/1.0 -k "$K1"
status
