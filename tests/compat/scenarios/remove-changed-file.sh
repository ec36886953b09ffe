# The installed file was deleted.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
rm "/lib/modules/$K1/updates/dkms/foo.ko"
run dkms remove foo/1.0 --all
status
show "$T"
meant empty-directories ls "/lib/modules/$K1"
