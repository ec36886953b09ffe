# --dkmstree, --sourcetree, --installtree.
fast foo 1.0
mkdir -p /srv/src /srv/tree "/srv/modules/$K1"
mv /usr/src/foo-1.0 /srv/src/
ln -s "/lib/modules/$K1/build" "/srv/modules/$K1/build"
run dkms add foo/1.0 --dkmstree /srv/tree --sourcetree /srv/src --installtree /srv/modules
run dkms build foo/1.0 -k "$K1" --dkmstree=/srv/tree --sourcetree=/srv/src --installtree=/srv/modules
status --dkmstree /srv/tree --sourcetree /srv/src
run dkms install foo/1.0 -k "$K1" --dkmstree /srv/tree --sourcetree /srv/src --installtree /srv/modules
status --dkmstree /srv/tree --sourcetree /srv/src --installtree /srv/modules
show /srv/tree /srv/modules/*/updates
status
run dkms remove foo/1.0 --all --dkmstree /srv/tree --sourcetree /srv/src --installtree /srv/modules
show /srv/tree /srv/modules/*/updates
