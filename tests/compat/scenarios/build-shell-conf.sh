# A conf that is a program.
fast foo 1.0
cat >>/usr/src/foo-1.0/dkms.conf <<'CONF'
if [ -d "$kernel_source_dir" ]; then
    found() { echo "cp ready.bin foo.ko"; }
    MAKE[0]="$(found)"
fi
echo "noise on stdout"
CONF
run dkms build foo/1.0 -k "$K1"
status
