# An older version does not silently replace a newer one that dkms itself put there; forcing it works.
fast foo 1.0
fast foo 2.0
run dkms install foo/2.0 -k "$K1"
differs downgrade-refused 0 6 dkms install foo/1.0 -k "$K1"
run dkms install foo/1.0 -k "$K1" --force
status
modinfo -F version "/lib/modules/$K1/updates/dkms/foo.ko"
