# match: what one kernel has installed, another gets.
fast foo 1.0
fast bar 1.0
run dkms install foo/1.0 -k "$K1"
run dkms build bar/1.0 -k "$K1"
run dkms match
run dkms match -k "$K2"
run dkms match -k "$K1" --templatekernel "$K1"
run dkms match --templatekernel "$K2" -k "$K1" bar
differs match-works 2 0 dkms match --templatekernel "$K1" -k "$K2"
differs match-works 2 0 dkms match --templatekernel="$K1" -k "$K2"
meant match-works dkms status
status bar
