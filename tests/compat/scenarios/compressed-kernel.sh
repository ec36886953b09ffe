# A kernel whose modules are compressed gets compressed modules.
fast foo 1.0
mkdir -p "/lib/modules/$K2/kernel"
xz -c /compat/ready/1.0.ko >"/lib/modules/$K2/kernel/native.ko.xz"
depmod "$K2" 2>/dev/null
run dkms install foo/1.0 -k "$K2"
show
status
run dkms uninstall foo/1.0 -k "$K2"
show
status
