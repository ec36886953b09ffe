#!/bin/bash
# Images: roots that are filled where none of their kernels runs. mmdebstrap makes one with a kernel and drivers in one go; another
# is filled without /proc and /sys. The modules are in the kernel and in the initramfs, and check says so inside.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

work=$(mktemp -d "$ROOT_CACHE/image.XXXXXX")
trap 'rm -rf "$work"; root_clean' EXIT
kernel=$new_kernel

# assert_complete NAME ROOT: the driver is in the root's kernel, in its index and in its initramfs.
assert_complete() {
    local name=$1 root=$2
    assert_match "$name: the driver is installed" "^acpi-call/[^,]+, $(regex "$kernel"), x86_64: installed\$" "$(system_status "$root")"
    assert "$name: modules.dep knows it" grep -q '^updates/dkms/acpi_call\.ko' "$root/lib/modules/$kernel/modules.dep"
    assert "$name: the initramfs holds it" root_run "$root" sh -c "lsinitramfs '/boot/initrd.img-$kernel' | grep -q '/acpi_call\.ko'"
    assert_status "$name: check finds everything" 0 root_run "$root" dkms check
    assert_equal "$name: dpkg --audit is clean" "" "$(root_run "$root" dpkg --audit 2>&1)"
    assert_status "$name: the tree is consistent" 0 root_run "$root" dkms fsck
}

# --- mmdebstrap, as builders of images for clouds and boards call it
root_apt_options >"$work/apt.conf"
cp "$DKMS_DEB" "$work/dkms-rs.deb"
printf 'INITRAMFS=yes\n' >"$work/acpi-call.conf"
# shellcheck disable=SC2016 # $1 is the root that mmdebstrap fills
image() {
    root_sources /usr/share/keyrings/debian-archive-keyring.gpg | mmdebstrap --quiet --mode=root --variant=apt --format=directory \
        --aptopt="$work/apt.conf" --include=ca-certificates,initramfs-tools \
        --customize-hook='mkdir -p "$1/etc/dkms"' --customize-hook="copy-in $work/dkms-rs.deb /root" \
        --customize-hook="copy-in $work/acpi-call.conf /etc/dkms" \
        --customize-hook='chroot "$1" apt-get -y -q --no-install-recommends install /root/dkms-rs.deb gcc acpi-call-dkms '"linux-image-$kernel linux-headers-$kernel" \
        "$ROOT_SUITE" "$work/image" - >"$work/log" 2>&1
}
image && status=0 || status=$?
assert_equal "mmdebstrap succeeds" 0 "$status"
[ "$status" = 0 ] || tail -n 20 "$work/log" | sed 's/^/    /'
assert_complete mmdebstrap "$work/image"
rm -rf "$work/image"

# --- neither /proc nor /sys
root=$(system_root image)
umount "$root/var/cache/apt/archives"
umount --recursive --lazy "$root/proc" "$root/sys"
mkdir -p "$root/etc/dkms"
cp "$work/acpi-call.conf" "$root/etc/dkms/"
cp "$DKMS_DEB" "$root/root/dkms-rs.deb"
assert_status "without /proc: apt installs all at once" 0 \
    root_run "$root" apt-get -y -q install /root/dkms-rs.deb acpi-call-dkms "linux-image-$kernel" "linux-headers-$kernel"
assert_complete "without /proc" "$root"

assert_done
