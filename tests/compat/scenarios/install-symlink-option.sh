# Links in place of copies.
fast foo 1.0
run dkms install foo/1.0 -k "$K1" --symlink-modules
status
meant symlink-option ls -l "/lib/modules/$K1/updates/dkms"
run dkms remove foo/1.0 --all
show
