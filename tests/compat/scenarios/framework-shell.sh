# A configuration file with a program in it, and one that is broken.
fast foo 1.0
mkdir -p /etc/dkms/framework.conf.d
echo 'if true; then verbose=; fi' >/etc/dkms/framework.conf.d/a.conf
run dkms build foo/1.0 -k "$K1"
status
