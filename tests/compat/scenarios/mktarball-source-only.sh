# The source alone needs no build.
fast foo 1.0
run dkms add foo/1.0
run dkms mktarball foo/1.0 --source-only
ls "$T/foo/1.0/tarball"
tar tf "$T"/foo/1.0/tarball/*.gz | sed 's|^\./||' | grep -v '^$' | LC_ALL=C sort
