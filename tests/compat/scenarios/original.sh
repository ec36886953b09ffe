# A module of the kernel's own name: which file modprobe takes, and that removal gives it back.
fast pcspkr 1.0
original=$(find "/lib/modules/$K1/kernel" -name 'pcspkr.ko*' -printf '%P\n')
sum=$(sha256sum <"/lib/modules/$K1/kernel/$original")
run dkms install pcspkr/1.0 -k "$K1"
modprobe -S "$K1" --show-depends pcspkr | sed 's/ *$//'
meant originals-archived find "$T" -name '*.origin'
meant originals-archived dkms status
run dkms remove pcspkr/1.0 --all
modprobe -S "$K1" --show-depends pcspkr | sed 's/ *$//'
[ "$sum" = "$(sha256sum <"/lib/modules/$K1/kernel/$original")" ] && echo 'original is back'
show
status
