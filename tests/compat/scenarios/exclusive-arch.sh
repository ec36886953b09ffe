# Other machines.
fast foo 1.0 'BUILD_EXCLUSIVE_ARCH="^(i.86|arm)"'
run dkms install foo/1.0 -k "$K1"
fast bar 1.0 'BUILD_EXCLUSIVE_ARCH="x86_64"'
run dkms install bar/1.0 -k "$K1"
status
