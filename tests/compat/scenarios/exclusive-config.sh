# The kernel's configuration.
for c in CONFIG_MODULES '!CONFIG_MODULES' CONFIG_NO_SUCH '!CONFIG_NO_SUCH' 'CONFIG_MODULES CONFIG_NO_SUCH'; do
    fast foo 1.0 "BUILD_EXCLUSIVE_CONFIG=\"$c\""
    run dkms build foo/1.0 -k "$K1"
    run dkms remove foo/1.0 --all
    rm -r /usr/src/foo-1.0
done
