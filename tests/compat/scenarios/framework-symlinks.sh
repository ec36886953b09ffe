# Links by framework.conf.
fast foo 1.0
echo 'symlink_modules="yes"' >>/etc/dkms/framework.conf
run dkms install foo/1.0 -k "$K1"
show
status
