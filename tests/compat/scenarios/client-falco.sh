# --directive with another make, and the module as a file.
fast foo 1.0
printf '#!/bin/sh\ntouch /tmp/own-make; cp ready.bin foo.ko\n' >/srv/own-make
chmod 755 /srv/own-make
run dkms install --directive="MAKE='/srv/own-make'" -m foo -v 1.0 -k "$K1"
ls /tmp/own-make "$T/foo/1.0/$K1/$A/module/foo.ko"
run dkms remove -m foo -v 1.0 --all
