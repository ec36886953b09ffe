# A file that stands where ours goes, and is not dkms's, comes back on uninstall.
fast foo 2.0
mkdir -p "/lib/modules/$K1/updates/dkms"
cp /compat/ready/1.0.ko "/lib/modules/$K1/updates/dkms/foo.ko"
run dkms install foo/2.0 -k "$K1"
meant originals-archived dkms status
ls "/lib/modules/$K1/updates/dkms"
modinfo -F version "/lib/modules/$K1/updates/dkms/foo.ko"
run dkms uninstall foo/2.0 -k "$K1"
meant originals-archived modinfo -F version "/lib/modules/$K1/updates/dkms/foo.ko"
status
