# Confs that lack what is needed.
for missing in PACKAGE_NAME PACKAGE_VERSION; do
    fast foo 1.0
    sed -i "/^$missing/d" /usr/src/foo-1.0/dkms.conf
    run dkms add foo/1.0
    show
    rm -r /usr/src/foo-1.0
done
fast foo 1.0
sed -i "/^DEST_MODULE_LOCATION/d" /usr/src/foo-1.0/dkms.conf
differs conf-without-location 8 0 dkms add foo/1.0
