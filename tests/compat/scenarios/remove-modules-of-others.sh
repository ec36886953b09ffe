# Files of others beside ours stay.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
touch "/lib/modules/$K1/updates/dkms/other.ko"
run dkms remove foo/1.0 --all
show
