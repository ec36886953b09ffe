# Destinations that no kernel has.
for location in /elsewhere kernel /updatesx /extra/x; do
    fast foo 1.0 "DEST_MODULE_LOCATION[0]=\"$location\""
    run dkms add foo/1.0
    run dkms remove foo/1.0 --all
    rm -r /usr/src/foo-1.0
done
