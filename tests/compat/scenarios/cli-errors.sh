# Exit codes of wrong command lines.
fast foo 1.0
differs no-action 0 2 dkms
differs no-action 0 2 dkms bogus
differs mk-actions 0 3 dkms mkdeb foo/2.0
differs no-action 0 2 dkms mkkmp foo/1.0
differs help-0 2 0 dkms --help
differs help-0 2 0 dkms -h
run dkms -V
run dkms add build foo/1.0
run dkms --nosuch
run dkms status -Z
run dkms status -j3
run dkms status -m=foo
run dkms add foo/1.0 --all
run dkms build foo/1.0 --all
run dkms remove foo/1.0 --all -k "$K1"
run dkms remove foo/1.0 --all -a "$A"
run dkms status --all -k "$K1"
run dkms status -a one -a two
run dkms build
run dkms install
run dkms uninstall
run dkms unbuild
run dkms remove
run dkms build foo
run dkms remove foo/2.0 --all
run dkms unbuild foo/2.0 -k "$K1"
run dkms match
run dkms match -k "$K1"
run dkms match -k "$K1" --templatekernel "$K1"
run dkms mktarball
run dkms mktarball foo/1.0
run dkms ldtarball
run dkms ldtarball /nowhere
run dkms ldtarball --archive=/nowhere
differs not-a-tarball 7 3 dkms add /etc/passwd
run dkms --no-initrd status
run dkms --no-clean-kernel --no-prepare-kernel status
