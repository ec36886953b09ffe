#!/bin/bash
# A machine with dracut is booted: a module of ours in the image, one that the boot unit builds, one that fails.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"

# shellcheck disable=SC2034 # used by boot_scenario.sh
generator=dracut
boot_configure() {
    cat >"$1/etc/dracut.conf.d/test.conf" <<'CONF'
hostonly=no
compress=gzip
dracutmodules="base dkms systemd systemd-initrd kernel-modules rootfs-block udev-rules fs-lib shutdown"
drivers="virtio_pci virtio_blk ext4 hello"
filesystems="ext4"
CONF
    # Loaded in the initramfs.
    # shellcheck disable=SC2034 # used by boot.sh
    boot_options=rd.modules_load=hello
}
# shellcheck disable=SC2154 # set there
make_image() { root_run "$root" dracut --force "/boot/initrd.img-$1" "$1"; }
image_has() { root_run "$root" sh -c "lsinitrd /boot/initrd.img-$1 | grep -q '/$2\.ko'"; }

# shellcheck source-path=SCRIPTDIR source=../lib/boot_scenario.sh
. "$ROOT_PROJECT/tests/lib/boot_scenario.sh"
