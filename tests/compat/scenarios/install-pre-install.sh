# PRE_INSTALL that refuses, and is overruled.
fast foo 1.0 'PRE_INSTALL="refuse.sh"'
printf '#!/bin/sh\nexit 1\n' >/usr/src/foo-1.0/refuse.sh
chmod 755 /usr/src/foo-1.0/refuse.sh
run dkms install foo/1.0 -k "$K1"
status
run dkms install foo/1.0 -k "$K1" --force
status
