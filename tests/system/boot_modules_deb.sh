#!/bin/bash
# A machine that has the kernel, the package that mkbmdeb made of a module for it, and nothing else of ours or for compiling,
# is booted: the module is loaded.
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

root=$(system_root boot-modules-deb systemd systemd-sysv udev initramfs-tools)
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
boot_disk "$root" "$work/disk"
boot "$work/disk" "$root" "$old_kernel" >"$console"
assert_equal "the machine boots, and reports" "$old_kernel" "$(reported kernel)"
assert_match "the module is loaded" '^hello$' "$(reported loaded)"
assert_match "it says so on the console" 'hello 1\.0' "$(<"$console")"

assert_done
