# A tarball of a source tree that no dkms made, without compression and suffix.
fast foo 1.0
mkdir -p /srv/t/dkms_source_tree /srv/t/dkms_main_tree
mv /usr/src/foo-1.0/* /srv/t/dkms_source_tree/
rmdir /usr/src/foo-1.0
tar cf /srv/handed -C /srv/t .
run dkms ldtarball /srv/handed
status
run dkms build foo/1.0 -k "$K1"
status
