# A conf from another system.
fast foo 1.0
sed -i 's/$/\r/' /usr/src/foo-1.0/dkms.conf
differs crlf 7 0 dkms build foo/1.0 -k "$K1"
