# The more exact file wins.
fast foo 1.0
mkdir -p /etc/dkms
i=0
for name in foo foo-1.0 "foo-1.0-$K1" "foo-1.0-$K1-$A"; do
    i=$((i + 1))
    echo "MAKE[0]=\"echo $i >>/tmp/seen; cp ready.bin foo.ko\"" >"/etc/dkms/$name.conf"
    run dkms build foo/1.0 -k "$K1" --force
done
cat /tmp/seen
