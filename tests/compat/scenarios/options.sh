# Ways to say the same, before and after the action.
fast foo 1.0
run dkms -m foo -v 1.0 add
run dkms -k "$K1" build -m foo/1.0
run dkms --kernelver="$K1" --module=foo -v 1.0 install
status
run dkms uninstall --kernelver "$K1" foo -v 1.0
run dkms --no-depmod install foo/1.0 -k "$K1"
grep -c foo.ko "/lib/modules/$K1/modules.dep"
run dkms install foo/1.0 -k "$K1" -j 3
run dkms build foo/1.0 -k "$K2" -q
run dkms build foo/1.0 -k "$K2" --quiet --force
run dkms build foo/1.0 -k "$K2" --force --verbose
run dkms build foo/1.0 -k "$K2" --force --kernelsourcedir="/lib/modules/$K2/build"
run dkms build foo/1.0 -k "$K2" --force --kernelsourcedir "/lib/modules/$K2/build" --config "/lib/modules/$K2/build/.config"
run dkms build foo/1.0 -a "$A" -k "$K2" --force
run dkms build '' foo/1.0 -k "$K2" --force
run dkms install foo/1.0 -k "$K2" ''
run dkms build --force --directive='MAKE=false' foo/1.0 -k "$K1"
meant rebuild-keeps dkms status
status -k "$K2"
