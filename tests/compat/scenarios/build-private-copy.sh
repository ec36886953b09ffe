# What a build writes does not reach the source.
fast foo 1.0 'MAKE[0]="cp ready.bin foo.ko; echo changed >hello.c; touch new"'
before=$(md5sum </usr/src/foo-1.0/hello.c)
run dkms build foo/1.0 -k "$K1"
[ "$before" = "$(md5sum </usr/src/foo-1.0/hello.c)" ] && echo unchanged
[ -e /usr/src/foo-1.0/new ] || echo nothing new
