# -j reaches make.
fast foo 1.0 'MAKE[0]="make -f jobs.mk"'
printf 'all:\n\t@cp ready.bin foo.ko; case "$(MAKEFLAGS)" in *-j3*) touch /tmp/three ;; esac\n' >/usr/src/foo-1.0/jobs.mk
run dkms build foo/1.0 -k "$K1" -j 3
ls /tmp/three
