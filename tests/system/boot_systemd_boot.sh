#!/bin/bash
# A machine that systemd-boot starts, with boot_default="keep-complete": the machine itself finds at its boot that the newest kernel
# lacks a driver, boots the older one next, completes the newest there, and boots that again.
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
"$ROOT_PROJECT/tests/lib/need" qemu-system-x86 ovmf mtools dosfstools e2fsprogs mmdebstrap debian-archive-keyring

root=$(system_root boot-systemd-boot systemd systemd-sysv systemd-boot udev initramfs-tools)
work=$(mktemp -d "$ROOT_CACHE/disk.XXXXXX")
trap 'rm -rf "$work"; root_clean' EXIT
console=$work/console
boot_kernels "$root" "$old_kernel" "$new_kernel"
boot_driver "$root" "$new_kernel"
assert_status "the driver is installed for the older kernel" 0 root_run "$root" dkms install hello/1.0 -k "$old_kernel"
# On the older kernel the driver becomes ready for the newer one.
cat >"$root/usr/local/sbin/step" <<STEP
#!/bin/sh
bootctl list --no-pager | grep -E 'id:|default'
if [ "\$(uname -r)" = $old_kernel ]; then
    echo '#!/bin/sh' >/usr/src/hello-1.0/not-yet.sh
    dkms autoinstall -k $new_kernel
fi
dkms check
STEP
chmod 755 "$root/usr/local/sbin/step"

# The firmware's file system, without a table of partitions.
firmware=$work/firmware
truncate -s 256M "$firmware"
mkfs.vfat -n FIRMWARE "$firmware" >/dev/null
mmd -i "$firmware" ::EFI ::EFI/BOOT ::loader ::loader/entries ::m
mcopy -i "$firmware" "$root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::EFI/BOOT/BOOTX64.EFI
printf 'timeout 0\n' | mcopy -i "$firmware" - ::loader/loader.conf
for kernel in "$old_kernel" "$new_kernel"; do
    mmd -i "$firmware" "::m/$kernel"
    mcopy -i "$firmware" "$root/boot/vmlinuz-$kernel" "::m/$kernel/linux"
    mcopy -i "$firmware" "$root/boot/initrd.img-$kernel" "::m/$kernel/initrd"
    printf 'title Linux %s\nversion %s\nlinux /m/%s/linux\ninitrd /m/%s/initrd\noptions root=/dev/vda rw console=ttyS0 panic=-1\n' \
        "$kernel" "$kernel" "$kernel" "$kernel" | mcopy -i "$firmware" - "::loader/entries/m-$kernel.conf"
done
echo '/dev/vdb /boot/efi vfat umask=0077 0 0' >>"$root/etc/fstab"
mkdir -p "$root/boot/efi"
boot_disk "$root" "$work/disk"
cp /usr/share/OVMF/OVMF_VARS_4M.fd "$work/variables"

start() {
    timeout 900 qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp "$(nproc)" -m 1024 -nographic -no-reboot \
        -nodefaults -serial stdio -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
        -drive "if=pflash,format=raw,file=$work/variables" -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
        -drive "file=$firmware,format=raw,if=virtio,cache=unsafe" </dev/null 2>&1 | tr -d '\r' >"$console"
    cp "$console" "$ROOT_PROJECT/target/system-tests/boot-systemd-boot-$1.console"
}

start first
assert_equal "the newest kernel boots" "$new_kernel" "$(reported kernel)"
assert_match "at boot the machine finds that it lacks a driver" \
    "the boot loader starts kernel $(regex "$old_kernel") by default until $(regex "$new_kernel") has its drivers" "$(reported unit-journal)"
start incomplete
assert_equal "then the older kernel boots" "$old_kernel" "$(reported kernel)"
assert_match "there the driver is built for the newest" 'the boot loader starts the newest kernel by default again' "$(reported step)"
start complete
assert_equal "and the newest kernel boots again" "$new_kernel" "$(reported kernel)"
assert_match "with its driver" "^hello/1\\.0, $(regex "$new_kernel"), x86_64: installed\$" "$(reported status)"

assert_done
