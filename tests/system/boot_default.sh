#!/bin/bash
# A machine that grub starts, and that wants boot_default="keep-complete": while a driver is missing on the newer kernel the older
# one boots, and the newer one when it has it.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/boot.sh
. "$(dirname "$0")/../lib/boot.sh"
"$ROOT_PROJECT/tests/lib/need" qemu-system-x86 e2fsprogs mmdebstrap debian-archive-keyring

root=$(system_root boot-default systemd systemd-sysv udev initramfs-tools grub-pc-bin)
work=$(mktemp -d "$ROOT_CACHE/disk.XXXXXX")
trap 'rm -rf "$work"; root_clean' EXIT
console=$work/console
boot_kernels "$root" "$old_kernel" "$new_kernel"

# The menu, as grub-mkconfig makes it for GRUB_DEFAULT=saved; and grub itself, in the form that a loader of kernels starts.
options="root=/dev/vda rw console=ttyS0 panic=-1"
entry() {
    printf "menuentry 'Linux %s' \$menuentry_id_option 'gnulinux-%s-advanced' {\n linux /boot/vmlinuz-%s %s\n initrd /boot/initrd.img-%s\n}\n" \
        "$1" "$1" "$1" "$options" "$1"
}
{
    # shellcheck disable=SC2016 # grub's own variables
    printf '%s\n' 'menuentry_id_option="--id"' 'export menuentry_id_option' 'load_env' 'if [ "${next_entry}" ] ; then' ' set default="${next_entry}"' 'else' \
        ' set default="${saved_entry}"' 'fi' 'set timeout=0'
    entry "$new_kernel" | sed "s/gnulinux-$new_kernel-advanced/gnulinux-simple/"
    # shellcheck disable=SC2016 # grub's own variable
    echo 'submenu "More" $menuentry_id_option "gnulinux-advanced" {'
    entry "$new_kernel"
    entry "$old_kernel"
    echo '}'
} >"$root/boot/grub.cfg.new"
mkdir -p "$root/boot/grub"
mv "$root/boot/grub.cfg.new" "$root/boot/grub/grub.cfg"
root_run "$root" grub-editenv /boot/grub/grubenv create
root_run "$root" grub-mkimage -O i386-pc -p '(hd0)/boot/grub' -o /tmp/core.img biosdisk ext2 normal linux loadenv test configfile
cat "$root/usr/lib/grub/i386-pc/lnxboot.img" "$root/tmp/core.img" >"$work/grub"
boot_grub() {
    boot_disk "$root" "$work/disk"
    timeout 900 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp "$(nproc)" -m 1024 -nographic -no-reboot -nodefaults \
        -serial stdio -kernel "$work/grub" -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" </dev/null 2>&1 |
        tr -d '\r' >"$console"
    cp "$console" "$ROOT_PROJECT/target/system-tests/boot-default-$1.console"
}

boot_driver "$root" "$new_kernel"
assert_status "the driver is installed for the older kernel" 0 root_run "$root" dkms autoinstall -k "$old_kernel"
tried=$(root_run "$root" dkms autoinstall -k "$new_kernel" 2>&1 || true)
assert_match "it does not build for the newer one" '^FAILED hello/1\.0 ' "$tried"
assert_match "grub remembers the older one" "^saved_entry=gnulinux-advanced>gnulinux-$(regex "$old_kernel")-advanced\$" \
    "$(root_run "$root" grub-editenv /boot/grub/grubenv list)"
boot_grub incomplete
assert_equal "while it is missing, the older kernel boots" "$old_kernel" "$(reported kernel)"

printf '#!/bin/sh\n' >"$root/usr/src/hello-1.0/not-yet.sh"
complete=$(root_run "$root" dkms autoinstall -k "$new_kernel" 2>&1)
assert_match "the default is given back" 'the boot loader starts the newest kernel by default again' "$complete"
boot_grub complete
assert_equal "when it is there, the newer kernel boots" "$new_kernel" "$(reported kernel)"
assert_match "and has the driver" "^hello/1\.0, $(regex "$new_kernel"), x86_64: installed\$" "$(reported status)"

assert_done
