#!/bin/bash
# A machine with initramfs-tools is booted: a module of ours in the image, one that the boot unit builds, one that fails.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"

# shellcheck disable=SC2034 # used by boot_scenario.sh
generator=initramfs-tools
boot_configure() {
    local script=$1/etc/initramfs-tools/scripts/init-premount/hello
    printf 'virtio_pci\nvirtio_blk\next4\n' >>"$1/etc/initramfs-tools/modules"
    mkdir -p "${script%/*}"
    # shellcheck disable=SC2016 # for the script
    printf '#!/bin/sh\n[ "$1" = prereqs ] && exit 0\nmodprobe hello\n' >"$script"
    chmod 755 "$script"
}
# shellcheck disable=SC2154 # set there
make_image() { root_run "$root" update-initramfs -u -k "$1"; }
image_has() { root_run "$root" sh -c "lsinitramfs /boot/initrd.img-$1 | grep -q '/$2\.ko'"; }

# shellcheck source-path=SCRIPTDIR source=../lib/boot_scenario.sh
. "$ROOT_PROJECT/tests/lib/boot_scenario.sh"
