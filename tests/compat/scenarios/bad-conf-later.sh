# A conf that breaks after the build: the package can still be removed; only ours then also removes the module.
fast foo 1.0
fast bar 1.0
run dkms install foo/1.0 -k "$K1"
run dkms install bar/1.0 -k "$K1"
printf 'PACKAGE_NAME="foo"\n' >/usr/src/foo-1.0/dkms.conf
meant conf-not-needed dkms status foo
status bar
run dkms build foo/1.0 -k "$K2"
run dkms remove foo/1.0 --all
meant conf-not-needed ls "/lib/modules/$K1/updates/dkms/foo.ko"
show "$T/bar"
