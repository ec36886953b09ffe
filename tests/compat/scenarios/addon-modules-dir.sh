# ADDON_MODULES_DIR.
fast foo 1.0
export ADDON_MODULES_DIR=addon
run dkms install foo/1.0 -k "$K1"
find "/lib/modules/$K1" -name foo.ko
run dkms uninstall foo/1.0 -k "$K1"
find "/lib/modules/$K1" -name foo.ko
