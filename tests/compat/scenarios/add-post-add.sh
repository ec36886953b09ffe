# POST_ADD runs in the source.
fast foo 1.0 'POST_ADD="told.sh a b"'
printf '#!/bin/sh\necho "$# $(pwd)" >/tmp/told\n' >/usr/src/foo-1.0/told.sh
chmod 755 /usr/src/foo-1.0/told.sh
run dkms add foo/1.0
cat /tmp/told
status
