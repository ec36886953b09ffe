# Tarballs without a package.
mkdir -p /srv/t
echo x >/srv/t/README
tar czf /srv/no.tar.gz -C /srv/t .
differs not-a-tarball 7 3 dkms ldtarball /srv/no.tar.gz
run dkms ldtarball
run dkms ldtarball /srv/missing.tar.gz
status
