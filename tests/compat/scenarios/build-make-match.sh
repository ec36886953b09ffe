# The last command that matches the kernel.
fast foo 1.0 'MAKE[1]="cp ready.bin foo.ko; touch $dkms_tree/one"' 'MAKE_MATCH[1]="^6\.1\."' 'MAKE[2]="false"' 'MAKE_MATCH[2]="^5"'
run dkms build foo/1.0 -k "$K1"
ls "$T/one"
status
