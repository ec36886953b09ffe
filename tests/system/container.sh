#!/bin/bash
# An image whose recipe is a Dockerfile, as `docker build` makes it: every step is a layer of its own, over files of the steps before. Made
# by buildah, which needs no daemon.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
"$ROOT_PROJECT/tests/lib/need" buildah crun

work=$(mktemp -d "$ROOT_CACHE/container.XXXXXX")
trap 'umount --recursive --lazy "$work/storage" 2>/dev/null || true; rm -rf "$work"; root_clean' EXIT
kernel=$new_kernel
mkdir "$work/context"

base=$(system_root container)
tar -c --one-file-system --numeric-owner -C "$base" -f "$work/context/base.tar" .
root_drop container
cp "$DKMS_DEB" "$work/context/dkms-rs.deb"
# The driver comes before the kernel, and each in a step of its own: nothing of a step is on the disk's upper layer in the next one.
cat >"$work/context/Dockerfile" <<DOCKERFILE
FROM scratch
ADD base.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
COPY dkms-rs.deb /root/
RUN apt-get -y -q install /root/dkms-rs.deb
RUN apt-get -y -q install acpi-call-dkms
RUN apt-get -y -q install linux-headers-$kernel
RUN apt-get -y -q install linux-image-$kernel
RUN dkms autoinstall -k $kernel
RUN dkms check
RUN dkms fsck
DOCKERFILE

buildah=(buildah --root "$work/storage" --runroot "$work/run" --storage-driver overlay)
flock "$ROOT_APT_CACHE.lock" "${buildah[@]}" bud --layers --isolation chroot \
    --volume "$ROOT_APT_CACHE:/var/cache/apt/archives" --tag image "$work/context" >"$work/log" 2>&1 &&
    status=0 || status=$?
assert_equal "the image is made" 0 "$status"
[ "$status" = 0 ] || tail -n 30 "$work/log" | sed 's/^/    /'
assert_equal "the driver is built once" 1 "$(grep -c '^ok acpi-call/' "$work/log")"
assert_no_match "nothing is built again because of layers" 'rebuilt' "$(<"$work/log")"

# Each in a container of its own: what it changes lies in the layers below.
in_image() {
    local name
    name=$("${buildah[@]}" from --pull-never image)
    "${buildah[@]}" run --isolation chroot "$name" -- sh -c "$1" </dev/null 2>&1
    "${buildah[@]}" rm "$name" >/dev/null
}
assert_match "the driver is installed" "^acpi-call/[^,]+, $(regex "$kernel"), x86_64: installed\$" "$(in_image 'dkms status')"
assert_match "its module is in the kernel" "^/lib/modules/$(regex "$kernel")/updates/dkms/acpi_call\\.ko" \
    "$(in_image "modinfo -k $kernel -n acpi_call")"
assert_match "a further step has nothing to do" '^exit 0$' "$(in_image "dkms autoinstall -k $kernel; echo exit \$?")"
module="acpi-call/$(in_image 'dkms status' | sed -n 's/^acpi-call\/\([^,]*\),.*/\1/p')"
while IFS=: read -r command state; do
    assert_match "a further step: $command" "^acpi-call/.*:$state\$" "$(in_image "$command && dkms fsck && dkms status")"
done <<COMMANDS
dkms uninstall $module -k $kernel: built
dkms install $module -k $kernel --force: installed
dkms build $module -k $kernel --force && dkms install $module -k $kernel --force: installed
dkms unbuild $module -k $kernel: added
dkms mktarball $module -k $kernel --archive=/root/a.tgz && dkms remove $module --all && dkms ldtarball /root/a.tgz: built
apt-get -y -q --reinstall install acpi-call-dkms: installed
COMMANDS
for command in "dkms remove $module --all" 'apt-get -y -q purge acpi-call-dkms'; do
    said=$(in_image "$command; echo exit \$?; { dkms status; ls /lib/modules/$kernel/updates/dkms 2>/dev/null; } | sed 's/^/left: /'")
    assert_match "a further step: $command" '^exit 0$' "$said"
    assert_no_match "nothing is left then" '^left: ' "$said"
done

assert_done
