# Directives in the environment.
fast foo 1.0 'MAKE[0]="false"'
export DKMS_DIRECTIVE_1='MAKE=./go'
printf '#!/bin/sh\ncp ready.bin foo.ko\n' >/usr/src/foo-1.0/go
chmod 755 /usr/src/foo-1.0/go
run dkms build foo/1.0 -k "$K1"
status
