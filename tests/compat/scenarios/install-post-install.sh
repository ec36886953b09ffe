# POST_INSTALL whose failure changes nothing.
fast foo 1.0 'POST_INSTALL="fail.sh"'
printf '#!/bin/sh\nexit 1\n' >/usr/src/foo-1.0/fail.sh
chmod 755 /usr/src/foo-1.0/fail.sh
run dkms install foo/1.0 -k "$K1"
status
