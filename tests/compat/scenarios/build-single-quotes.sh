# Single quotes wait for the second reading.
fast foo 1.0 "MAKE[0]='echo \$kernelver \$module \$module_version >/tmp/seen; cp ready.bin foo.ko'"
run dkms build foo/1.0 -k "$K1"
cat /tmp/seen
