# The scripts: order, directory, variables.
fast foo 1.0 'PRE_BUILD="s.sh pre_build"' 'POST_BUILD="s.sh post_build"' 'PRE_INSTALL="s.sh pre_install"' \
    'POST_INSTALL="s.sh post_install"' 'POST_REMOVE="s.sh post_remove"' 'POST_ADD="s.sh post_add"'
# Some of them are another user than the others.
mkdir -m 777 /tmp/notes
: >/tmp/notes/calls
chmod 666 /tmp/notes/calls
cat >/usr/src/foo-1.0/s.sh <<'SH'
#!/bin/sh
echo "$1 in $(pwd -P) as $0, umask $(umask), $module $module_version $kernelver $arch" >>/tmp/notes/calls
[ ! -e "/tmp/fail-$1" ]
SH
chmod 755 /usr/src/foo-1.0/s.sh
run dkms add foo/1.0
run dkms install foo/1.0 -k "$K1"
run dkms uninstall foo/1.0 -k "$K1"
run dkms install foo/1.0 -k "$K1"
run dkms remove foo/1.0 --all
cut -d, -f 1 /tmp/notes/calls
echo '-- with variables:'
grep -v 'post_add\|post_remove' /tmp/notes/calls
