# BUILD_EXCLUSIVE_*: 77, before anything is built, whatever is forced.
fast foo 1.0 'BUILD_EXCLUSIVE_KERNEL="^9\."'
run dkms build foo/1.0 -k "$K1"
run dkms build foo/1.0 -k "$K1" --force
run dkms install foo/1.0 -k "$K1"
status
show
fast bar 1.0 'BUILD_EXCLUSIVE_ARCH="^arm"'
run dkms build bar/1.0 -k "$K1"
fast baz 1.0 'BUILD_EXCLUSIVE_CONFIG="CONFIG_MODULES !CONFIG_NO_SUCH_THING"'
run dkms build baz/1.0 -k "$K1"
fast qux 1.0 'BUILD_EXCLUSIVE_CONFIG="!CONFIG_MODULES"'
run dkms build qux/1.0 -k "$K1"
fast ok 1.0 'BUILD_EXCLUSIVE_KERNEL="^6\.1\."' 'BUILD_EXCLUSIVE_ARCH="x86_64"'
run dkms build ok/1.0 -k "$K1"
fast min 1.0 'BUILD_EXCLUSIVE_KERNEL_MIN="7.0"'
differs min-max 0 77 dkms build min/1.0 -k "$K1"
fast max 1.0 'BUILD_EXCLUSIVE_KERNEL_MAX="6.0"'
differs min-max 0 77 dkms build max/1.0 -k "$K1"
status foo
status ok
