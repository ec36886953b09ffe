# shellcheck shell=bash
# Three boots of one machine: what boot_initramfs_tools.sh and boot_dracut.sh have in common. Source after root_private, with
#
#   generator            the package that makes images
#   boot_configure ROOT  how the machine gets what it needs, and loads the module hello before the root is mounted
#   image_has KERNEL MODULE

# shellcheck source-path=SCRIPTDIR source=assert.sh
. "$ROOT_PROJECT/tests/lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=system.sh
. "$ROOT_PROJECT/tests/lib/system.sh"
# shellcheck source-path=SCRIPTDIR source=boot.sh
. "$ROOT_PROJECT/tests/lib/boot.sh"
"$ROOT_PROJECT/tests/lib/need" qemu-system-x86 e2fsprogs mmdebstrap debian-archive-keyring

# shellcheck disable=SC2154 # set by the script that sources this
root=$(system_root "boot-$generator" systemd systemd-sysv udev "$generator")
work=$(mktemp -d "$ROOT_CACHE/disk.XXXXXX")
trap 'rm -rf "$work"; root_clean' EXIT
console=$work/console

# line_of REGEX: where it is first said on the console.
line_of() { grep -nE -m 1 "$1" "$console" | cut -d: -f1; }
start() {
    boot "$work/disk" "$root" "$1" >"$console"
    cp "$console" "$ROOT_PROJECT/target/system-tests/boot-$generator-$2.console"
    assert_equal "$2: the machine boots, and reports" "$1" "$(reported kernel)"
}

assert_status "the package installs by apt" 0 system_install_dkms "$root"
assert_status "a kernel and its headers install" 0 system_apt "$root" install "linux-image-$old_kernel" "linux-headers-$old_kernel"
boot_prepare "$root"
boot_configure "$root"
source=$ROOT_PROJECT/tests/fixtures/hello
cp -r "$source" "$root/usr/src/hello-1.0"
cp -r "$source" "$root/usr/src/broken-1.0"
echo '#error it does not compile' >>"$root/usr/src/broken-1.0/hello.c"
# It tries what no build should be able to do.
cp "$ROOT_PROJECT/tests/fixtures/escape.sh" "$root/usr/src/hello-1.0/"
echo 'PRE_BUILD="escape.sh"' >>"$root/usr/src/hello-1.0/dkms.conf"
# The broken one is for the second kernel alone.
sed -i 's/hello/broken/; s/^BUILT_MODULE_NAME.*/BUILT_MODULE_NAME[0]="hello"/; $a DEST_MODULE_NAME[0]="broken"' "$root/usr/src/broken-1.0/dkms.conf"
echo "BUILD_EXCLUSIVE_KERNEL=\"^$(regex "$new_kernel")\$\"" >>"$root/usr/src/broken-1.0/dkms.conf"
echo 'INITRAMFS=yes' >"$root/etc/dkms/hello.conf"
echo hello >"$root/etc/modules-load.d/hello.conf"
for package in hello broken; do
    assert "$package is added" root_run "$root" dkms add "$package/1.0"
done
assert "the image is packed anew" make_image "$old_kernel"
assert_equal "what was pending was built before the image was packed" "hello/1.0, $old_kernel, x86_64: installed" \
    "$(system_status "$root" | grep installed)"
assert "the image holds it" image_has "$old_kernel" hello

# An upgrade while none of our hooks works.
mv "$root/usr/lib/dkms" "$root/usr/lib/dkms.away"
assert_status "a kernel arrives behind our back" 0 system_apt "$root" install "linux-image-$new_kernel" "linux-headers-$new_kernel"
mv "$root/usr/lib/dkms.away" "$root/usr/lib/dkms"
assert_no_match "it has no modules of ours" "$(regex "$new_kernel")" "$(system_status "$root")"
boot_disk "$root" "$work/disk"

start "$old_kernel" "everything there"
assert "the module is loaded before the root file system is mounted" \
    test "$(line_of '\] hello 1\.0')" -lt "$(line_of 'EXT4-fs \(vda\): mounted')"
assert_match "the module is loaded" '^hello$' "$(reported loaded)"
assert_match "the unit has nothing to do" 'nothing is pending' "$(reported unit-journal)"
assert_match "the unit succeeds" '^Result=success$' "$(reported unit)"
assert_match "the journal knows who was called" 'called with' "$(reported journal)"
cost() {
    local begin end
    begin=$(reported "again-$1" | sed -n 's/^ExecMainStartTimestampMonotonic=//p')
    end=$(reported "again-$1" | sed -n 's/^ExecMainExitTimestampMonotonic=//p')
    echo $(((end - begin) / 1000))
}
echo "# in an emulated machine with nothing else to do: the boot program $(cost boot) ms, /bin/true $(cost true) ms"

start "$new_kernel" "hooks left out"
assert_match "the unit catches up" "^hello/1\.0, $(regex "$new_kernel"), x86_64: installed\$" "$(reported status)"
assert_match "behind all walls" '"user","files","network","processes","landlock"' "$(reported walls)"
assert_equal "and nothing else came of it" "" "$(reported escaped)"
assert_match "when multi-user.target is reached the module is loaded" '^hello$' "$(reported loaded)"
assert_match "progress is on the console" 'Building hello/1\.0 for ' "$(<"$console")"
assert_match "a package that fails is on the console" 'broken/1\.0 for kernel' "$(<"$console")"
assert_match "and in the journal" 'could not be built' "$(reported journal)"
assert_match "and the unit says so" 'dkms\.service' "$(reported failed)"
spent() {
    local begin end
    begin=$(reported unit | sed -n 's/^ExecMainStartTimestampMonotonic=//p')
    end=$(reported unit | sed -n 's/^ExecMainExitTimestampMonotonic=//p')
    echo $(((end - begin) / 1000))
}
building=$(spent)

start "$new_kernel" "a package that fails"
assert_match "it is reported on the console" 'broken/1\.0 for kernel' "$(<"$console")"
assert_match "with what the compiler said" 'it does not compile' "$(<"$console")"
assert_match "it is not tried again" 'will not retry it automatically' "$(<"$console")"
assert_match "the others are there" '^hello$' "$(reported loaded)"
assert "it delays nothing: $(spent) ms, where building took $building ms" test "$(spent)" -lt $((building / 4))

assert_done
