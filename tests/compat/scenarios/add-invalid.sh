# Confs that lack what is needed.
for missing in PACKAGE_NAME PACKAGE_VERSION DEST_MODULE_LOCATION; do
    fast foo 1.0
    sed -i "/^$missing/d" /usr/src/foo-1.0/dkms.conf
    run dkms add foo/1.0
    show
    rm -r /usr/src/foo-1.0
done
