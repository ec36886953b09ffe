# OBSOLETE_BY: a kernel that has the module itself.
fast foo 1.0 'OBSOLETE_BY="5.0"'
differs obsolete-by 0 77 dkms install foo/1.0 -k "$K1"
fast bar 1.0 'OBSOLETE_BY="9.0"'
run dkms install bar/1.0 -k "$K1"
status bar
