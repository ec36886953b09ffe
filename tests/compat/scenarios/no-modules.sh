# A package without modules installs; all of it is bookkeeping.
fast foo 1.0 'MAKE[0]="true"'
sed -i '/BUILT_MODULE_NAME\|DEST_MODULE_LOCATION/d' /usr/src/foo-1.0/dkms.conf
meant no-modules dkms install foo/1.0 -k "$K1"
meant no-modules dkms remove foo/1.0 --all
show
