#!/bin/bash
# The recipe for ostree and bootc of docs/images.md, with ostree itself: an image with a driver is made, committed and deployed. On the
# machine /usr cannot be written, all files have the same time and other inodes, and /var is empty.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
"$ROOT_PROJECT/tests/lib/need" ostree

work=$(mktemp -d "$ROOT_CACHE/ostree.XXXXXX")
# What is deployed cannot be changed (chattr(1)).
trap 'umount --recursive --lazy "$work"/{tree,machine} 2>/dev/null || true; chattr -R -f -i "$work" || true; rm -rf "$work"; root_clean' EXIT
kernel=$new_kernel

# --- the image, as docs/images.md says
root=$(system_root image "linux-image-$kernel" "linux-headers-$kernel")
mkdir -p "$root/etc/dkms/framework.conf.d"
echo 'dkms_tree="/usr/lib/modules-dkms"' >"$root/etc/dkms/framework.conf.d/image.conf"
assert_status "the package installs" 0 system_install_dkms "$root"
assert_status "the driver installs" 0 system_apt "$root" install acpi-call-dkms
assert_status "the last step of the recipe finds everything" 0 root_run "$root" dkms check

# --- what the tools that make images do: /etc is a copy of /usr/etc, /var is the machine's, the kernel lies with its modules
tree=$work/tree
mkdir "$tree"
mount --bind "$root" "$tree"
root_unmount "$root"
mv "$tree/boot/vmlinuz-$kernel" "$tree/usr/lib/modules/$kernel/vmlinuz"
echo initramfs >"$tree/usr/lib/modules/$kernel/initramfs.img"
mv "$tree/etc" "$tree/usr/etc"
find "$tree"/{dev,run,tmp,var,boot,home} -mindepth 1 -delete
mkdir "$tree/sysroot"
ln -s sysroot/ostree "$tree/ostree"
sysroot=$work/sysroot
mkdir "$sysroot"
ostree admin init-fs "$sysroot" >"$work/log" 2>&1
ostree admin os-init --sysroot="$sysroot" debian >>"$work/log" 2>&1
ostree config --repo="$sysroot/ostree/repo" set sysroot.bootloader none
ostree commit --repo="$sysroot/ostree/repo" --branch=debian --tree=dir="$tree" >>"$work/log" 2>&1 && status=0 || status=$?
assert_equal "ostree commits the image" 0 "$status"
ostree admin deploy --sysroot="$sysroot" --os=debian debian >>"$work/log" 2>&1 && status=0 || status=$?
assert_equal "ostree deploys it" 0 "$status"
[ "$status" = 0 ] || sed 's/^/    /' "$work/log"
umount "$tree"

# --- the machine
machine=$work/machine
mkdir "$machine"
mount --bind "$(find "$sysroot/ostree/deploy/debian/deploy" -mindepth 1 -maxdepth 1 -type d)" "$machine"
mount -o remount,bind,ro "$machine"
mount --bind "$machine/etc" "$machine/etc"
mount -o remount,bind,rw "$machine/etc"
mount --bind "$sysroot/ostree/deploy/debian/var" "$machine/var"
mkdir -p "$machine/var/tmp" "$machine/var/lib" "$machine/var/log"
mount -t proc proc "$machine/proc"
mount --rbind /dev "$machine/dev"
for dir in run tmp; do mount -t tmpfs tmpfs "$machine/$dir"; done
touch "$machine/run/ostree-booted"
assert_equal "every file has the same time" 1 "$(find "$machine/usr/lib/modules-dkms" -type f -size +0 -printf '%T@\n' | sort -u | wc -l)"
assert_match "status knows the driver" "^acpi-call/[^,]+, $(regex "$kernel"), x86_64: installed\$" "$(system_status "$machine" 2>&1)"
assert_match "modprobe finds it" "^/lib/modules/$(regex "$kernel")/updates/dkms/acpi_call\\.ko" \
    "$(root_run "$machine" modinfo -k "$kernel" -n acpi_call 2>&1)"
said=$(root_run "$machine" dkms check -k "$kernel" 2>&1) && status=0 || status=$?
assert_equal "check finds everything" 0 "$status"
assert_no_match "check finds nothing else" 'acpi|error|warning|changed' "$said"
assert_equal "the tree is consistent" "/usr/lib/modules-dkms is consistent." "$(root_run "$machine" dkms fsck 2>&1)"
assert_status "autoinstall has nothing to do" 0 root_run "$machine" dkms autoinstall -k "$kernel"
echo 'MAKE[0]="make another"' >"$machine/etc/dkms/acpi-call.conf"
assert_status "autoinstall fails where something is to be built" 1 root_run "$machine" dkms autoinstall -k "$kernel"
rm "$machine/etc/dkms/acpi-call.conf"
refused=$(root_run "$machine" dkms install acpi-call --force -k "$kernel" 2>&1) && status=0 || status=$?
assert_equal "a change fails" 1 "$status"
assert_match "it says why" 'Cannot write to /usr/lib/modules-dkms: the file system is read-only' "$refused"
umount --recursive --lazy "$machine"

assert_done
