# A script of the administrator takes the place of the package's.
fast foo 1.0 'PRE_BUILD="pre.sh"'
printf '#!/bin/sh\necho package >/tmp/seen\n' >/usr/src/foo-1.0/pre.sh
mkdir -p /etc/dkms/foo
printf '#!/bin/sh\necho administrator >/tmp/seen\n' >/etc/dkms/foo/pre.sh
chmod 755 /usr/src/foo-1.0/pre.sh /etc/dkms/foo/pre.sh
run dkms build foo/1.0 -k "$K1"
meant script-override cat /tmp/seen
