# The kernel's own module is back in its place, whichever dkms installed ours over it and whichever takes that out again.
fast pcspkr 1.0
original=$(find "/lib/modules/$K1/kernel" -name 'pcspkr.ko*')
sum=$(sha256sum <"$original")
run dkms install pcspkr/1.0 -k "$K1"
hand_over
meant originals-archived dkms status
run dkms remove pcspkr/1.0 --all
modprobe -S "$K1" --show-depends pcspkr | sed 's/ *$//'
[ "$sum" = "$(sha256sum <"$original")" ] && echo 'original is back'
status
show
