# POST_REMOVE runs.
fast foo 1.0 'POST_REMOVE="gone.sh"'
printf '#!/bin/sh\necho gone >>/tmp/seen\n' >/usr/src/foo-1.0/gone.sh
chmod 755 /usr/src/foo-1.0/gone.sh
run dkms install foo/1.0 -k "$K1"
run dkms uninstall foo/1.0 -k "$K1"
cat /tmp/seen
