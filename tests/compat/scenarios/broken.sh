# The source of an added package disappears.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
mv /usr/src/foo-1.0 /usr/src/away
meant broken-shown dkms status foo
run dkms build foo/1.0 -k "$K2"
run dkms install foo/1.0 -k "$K2"
differs broken-fails 0 11 dkms autoinstall -k "$K2"
mv /usr/src/away /usr/src/foo-1.0
status
run dkms remove foo/1.0 --all
show
