# Empty arguments and a version of its own.
fast foo 1.0
set --
run dkms build "$@" foo/1.0 -k "$K1"
run dkms install "$@" "" foo/1.0 -k "$K1"
status
