# A script that is not there.
fast foo 1.0 'PRE_BUILD="nothing.sh"' 'POST_BUILD="nothing.sh"' 'PRE_INSTALL="nothing.sh"' 'POST_INSTALL="nothing.sh"'
run dkms install foo/1.0 -k "$K1"
status
