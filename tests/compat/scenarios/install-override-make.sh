# A conf of the administrator for what the package gets wrong.
fast foo 1.0 'MAKE[0]="false"'
run dkms install foo/1.0 -k "$K1"
echo 'MAKE[0]="cp ready.bin foo.ko"' >/etc/dkms/foo.conf
run dkms install foo/1.0 -k "$K1"
status
