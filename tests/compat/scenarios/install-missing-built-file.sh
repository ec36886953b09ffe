# A built module that was deleted.
fast foo 1.0
run dkms build foo/1.0 -k "$K1"
rm "$T/foo/1.0/$K1/$A/module/foo.ko"
differs built-file-missing 3 6 dkms install foo/1.0 -k "$K1"
