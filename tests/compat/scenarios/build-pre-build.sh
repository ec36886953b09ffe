# PRE_BUILD with its arguments, in the build directory.
fast foo 1.0 'PRE_BUILD="pre.sh $kernelver two"'
printf '#!/bin/sh\necho "$* in $(pwd -P)" >/tmp/seen; cp ready.bin made\n' >/usr/src/foo-1.0/pre.sh
chmod 755 /usr/src/foo-1.0/pre.sh
sed -i 's/cp ready.bin/cp made/' /usr/src/foo-1.0/dkms.conf
run dkms build foo/1.0 -k "$K1"
cat /tmp/seen
status
