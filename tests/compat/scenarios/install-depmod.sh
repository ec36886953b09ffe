# modules.dep knows it, and no longer after it went.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
grep -c foo.ko "/lib/modules/$K1/modules.dep"
run dkms uninstall foo/1.0 -k "$K1"
grep -q foo.ko "/lib/modules/$K1/modules.dep" || echo gone
