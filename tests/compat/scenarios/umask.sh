# The caller's mask does not matter.
fast foo 1.0
umask 077
run dkms install foo/1.0 -k "$K1"
show "$T/foo/1.0/$K1" "$T/foo/1.0/source"
stat -c '%a' "/lib/modules/$K1/updates/dkms"
