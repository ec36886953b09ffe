# A conf that asks dkms.
fast bar 1.0
run dkms add bar/1.0
fast foo 1.0
echo "known=\$(dkms status -m bar | wc -l); test \$known = 1 && DEST_MODULE_NAME[0]=counted" >>/usr/src/foo-1.0/dkms.conf
run dkms build foo/1.0 -k "$K1"
show "$T/foo"
