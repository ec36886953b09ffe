# Two kernels in one.
fast foo 1.0
run dkms build foo/1.0 -k "$K1" -k "$K2"
run dkms mktarball foo/1.0 -k "$K1" -k "$K2" --archive both.tar.gz
tar tf "$T/foo/1.0/tarball/both.tar.gz" | grep -c "$K1/$A/module/foo.ko"
meant tarball-kernels tar tf "$T/foo/1.0/tarball/both.tar.gz"
