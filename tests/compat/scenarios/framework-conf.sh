# The global configuration: /etc/dkms/framework.conf and its directory.
fast foo 1.0
mkdir -p /etc/dkms/framework.conf.d
echo 'source_tree="/srv/nowhere"' >/etc/dkms/framework.conf
run dkms add foo/1.0
echo 'source_tree="/usr/src"' >/etc/dkms/framework.conf.d/50-local.conf
echo 'source_tree="/srv/nowhere"' >/etc/dkms/framework.conf.d/90-local.other
run dkms add foo/1.0
status
echo 'symlink_modules="yes"' >/etc/dkms/framework.conf.d/60-links.conf
run dkms install foo/1.0 -k "$K1"
status
show
run dkms uninstall foo/1.0 -k "$K1"
show
