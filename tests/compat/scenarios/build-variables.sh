# What a make command can use.
fast foo 1.0 'MAKE[0]="echo $kernelver $arch $kernel_source_dir $dkms_tree $source_tree $install_tree >/tmp/seen; cp ready.bin foo.ko"'
run dkms build foo/1.0 -k "$K1"
cat /tmp/seen
