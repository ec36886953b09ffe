# Regular expressions of the kernel.
for e in '^6\.1\.' 'amd64$' '^(5|6)\.[0-9]+\.' 'cloud' '6.1.0-[0-9]+-amd64' ''; do
    fast foo 1.0 "BUILD_EXCLUSIVE_KERNEL=\"$e\""
    run dkms build foo/1.0 -k "$K1"
    run dkms remove foo/1.0 --all
    rm -r /usr/src/foo-1.0
done
