# The tree elsewhere, by framework.conf.
fast foo 1.0
mkdir -p /srv/tree
echo 'dkms_tree="/srv/tree"' >>/etc/dkms/framework.conf
run dkms install foo/1.0 -k "$K1"
status
show "$T" /srv/tree
