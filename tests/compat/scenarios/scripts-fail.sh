# A failing script, one after the other.
fast foo 1.0 'PRE_BUILD="s.sh pre_build"' 'PRE_INSTALL="s.sh pre_install"' \
    'POST_INSTALL="s.sh post_install"' 'POST_REMOVE="s.sh post_remove"' 'POST_ADD="s.sh post_add"'
printf '#!/bin/sh\n[ ! -e "/tmp/fail-$1" ] || exit 42\n' >/usr/src/foo-1.0/s.sh
chmod 755 /usr/src/foo-1.0/s.sh
for script in pre_build pre_install post_install post_remove; do
    echo "-- $script"
    run dkms add foo/1.0
    touch "/tmp/fail-$script"
    if [ $script = pre_build ]; then differs script-status 0 42 dkms install foo/1.0 -k "$K1"; else run dkms install foo/1.0 -k "$K1"; fi
    if [ $script = pre_build ]; then meant script-status dkms status; else status; fi
    run dkms remove foo/1.0 --all
    rm "/tmp/fail-$script"
done
