#!/bin/bash
# A machine that has the kernel, modules that were built elsewhere, and nothing else of ours or for compiling, is booted, and the
# modules are loaded: one of the package that mkbmdeb made, and one, for a device that is there, of an extension of mksysext.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
with_kernels=$(root_base lsb-release)
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/boot.sh
. "$(dirname "$0")/../lib/boot.sh"
"$ROOT_PROJECT/tests/lib/need" qemu-system-x86 e2fsprogs mmdebstrap debian-archive-keyring

builder=$(root_copy builder "$with_kernels")
system_install_dkms "$builder" >/dev/null
cp -r "$ROOT_PROJECT/tests/fixtures/hello" "$builder/usr/src/hello-1.0"
root_run "$builder" dkms build hello/1.0 -k "$old_kernel" >/dev/null
assert_status "mkbmdeb" 0 root_run "$builder" dkms mkbmdeb hello/1.0

mkdir "$builder/usr/src/plugged-1.0" "$builder/root/again"
printf 'obj-m := plugged.o\n' >"$builder/usr/src/plugged-1.0/Makefile"
printf '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_ALIAS("virtio:d00000002v*");\n' >"$builder/usr/src/plugged-1.0/plugged.c"
printf 'PACKAGE_NAME=plugged\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=plugged\nDEST_MODULE_LOCATION=/extra\nAUTOINSTALL=yes\n' \
    >"$builder/usr/src/plugged-1.0/dkms.conf"
root_run "$builder" dkms build plugged/1.0 -k "$old_kernel" >/dev/null
root_run "$builder" dkms unbuild hello/1.0 --all >/dev/null
refused=$(root_run "$builder" dkms mksysext -k "$old_kernel" --archive /root/elsewhere.raw 2>&1) && status=0 || status=$?
assert_equal "mksysext without a program for it fails" 2 "$status"
assert_match "it says what to install" 'Install the package erofs-utils' "$refused"
for package in squashfs-tools erofs-utils; do
    assert_status "$package installs" 0 system_apt "$builder" install "$package"
    assert_status "mksysext with $package" 0 root_run "$builder" dkms mksysext -k "$old_kernel" --archive "/root/$package.raw"
    root_run "$builder" dkms mksysext -k "$old_kernel" --archive "/root/again/$package.raw" >/dev/null
    assert "the same builds make the same image with $package" cmp "$builder/root/$package.raw" "$builder/root/again/$package.raw"
done

root=$(system_root boot-elsewhere systemd systemd-sysv udev initramfs-tools)
work=$(mktemp -d "$ROOT_CACHE/disk.XXXXXX")
trap 'rm -rf "$work"; root_clean' EXIT
console=$work/console

assert_status "a kernel installs" 0 system_apt "$root" install "linux-image-$old_kernel"
rm -f "$root"/usr/bin/{make,cc,gcc,gcc-12,c99,x86_64-linux-gnu-gcc*,cpp*}
boot_prepare "$root"
printf 'virtio_pci\nvirtio_blk\next4\n' >>"$root/etc/initramfs-tools/modules"
echo hello >"$root/etc/modules-load.d/hello.conf"
cp "$builder/var/lib/dkms/hello/1.0/bmdeb/"*.deb "$root/root/"
log=$(system_apt "$root" install "/root/hello-modules-${old_kernel}_1.0_$(dpkg --print-architecture).deb") || true
assert_match "the modules' package makes the image anew by the trigger" 'Processing triggers for initramfs-tools' "$log"
assert_no_match "there is no dkms" '^ii  dkms' "$(root_run "$root" dpkg -l)"
mkdir "$root/var/lib/extensions"
cp "$builder/root/erofs-utils.raw" "$root/var/lib/extensions/"
# systemd ends with an error where the image names another distribution, or itself another way.
ln -s /lib/systemd/system/systemd-sysext.service "$root/etc/systemd/system/sysinit.target.wants/systemd-sysext.service"
cat >"$root/usr/local/sbin/step" <<'STEP'
#!/bin/sh
# systemd 252 starts no unit of an extension.
test "$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" -ge 254 || udevadm trigger --action=add --attr-match=modalias
udevadm settle
cat /usr/lib/extension-release.d/*
cd "/lib/modules/$(uname -r)" && modinfo -n plugged ext4
echo "extra: $(grep -o '^plugged' /proc/modules)"
STEP
chmod 755 "$root/usr/local/sbin/step"
boot_disk "$root" "$work/disk"
boot "$work/disk" "$root" "$old_kernel" >"$console"
assert_equal "the machine boots, and reports" "$old_kernel" "$(reported kernel)"
assert_match "the module is loaded" '^hello$' "$(reported loaded)"
assert_match "it says so on the console" 'hello 1\.0' "$(<"$console")"
assert_match "the extension is over /usr" "/lib/modules/$(regex "$old_kernel")/updates/dkms/plugged\.ko" "$(reported step)"
assert_match "its index knows the kernel's own modules" "/lib/modules/$(regex "$old_kernel")/kernel/fs/ext4/ext4\.ko" "$(reported step)"
assert_match "its module is loaded for the device" '^extra: plugged$' "$(reported step)"
assert_equal "no unit failed" "" "$(reported failed)"

assert_done
