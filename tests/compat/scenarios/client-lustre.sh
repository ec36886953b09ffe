# A build that asks for what it is built against.
fast zfs 2.0
run dkms install zfs/2.0 -k "$K1"
fast lustre 1.0 "PRE_BUILD=\"pre.sh \\\$kernelver \\\$arch \\\$dkms_tree\""
printf '#!/bin/sh\ndkms status -m zfs -k $1 -a $2 | sed -e s:zfs/::g -e s:,.*::g >/tmp/seen; ls -d $3/zfs/kernel-$1-$2 >>/tmp/seen\n' >/usr/src/lustre-1.0/pre.sh
chmod 755 /usr/src/lustre-1.0/pre.sh
run dkms install lustre/1.0 -k "$K1"
cat /tmp/seen
status
