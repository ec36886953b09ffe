# Trees that something else has been at.
fast foo 1.0
mkdir -p "$T/foo/1.0"
meant broken-shown dkms status
ln -s /nowhere "$T/foo/1.0/source"
status nothing
rm "$T/foo/1.0/source"
ln -s /usr/src/foo-1.0 "$T/foo/1.0/source"
status
mkdir -p "$T/empty" "$T/.dot/1.0" "$T/foo/1.0/$K1/$A"
touch "$T/file" "$T/foo/file"
status
mkdir -p "$T/foo/1.0/$K1/$A/module"
cp /compat/ready/1.0.ko "$T/foo/1.0/$K1/$A/module/foo.ko"
status
run dkms install foo/1.0 -k "$K1"
status
run dkms remove foo/1.0 --all
status
