# --directive beats every file.
fast foo 1.0
run dkms build foo/1.0 -k "$K1" --directive 'MAKE=cp ready.bin foo.ko; touch /tmp/by-directive'
ls /tmp/by-directive
run dkms build foo/1.0 -k "$K2" --directive=MAKE=false
status
