#!/bin/bash
# The machine's own callers, with the real tools: systemd's judgement of our unit, kernel-install with systemd's plugins, and the
# initramfs that is asked for again when headers come after the image.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

root=$(system_root machine systemd systemd-sysv initramfs-tools)
kernel=$old_kernel
installed="^acpi-call/[^,]+, $(regex "$kernel"), x86_64: installed\$"

assert_status "the package installs by apt" 0 system_install_dkms "$root"
assert "the unit is enabled" test -L "$root/etc/systemd/system/multi-user.target.wants/dkms.service"
verdict=$(root_run "$root" systemd-analyze verify --man=no dkms.service 2>&1 | grep -i 'dkms' || true)
assert_equal "systemd-analyze verify has nothing to say of the unit" "" "$verdict"

# cloud-init's units stand before sysinit.target and after the network: what is ordered before network-pre.target, with default
# dependencies, closes a circle, out of which systemd throws a job at random.
circles() { root_run "$root" systemd-analyze verify --man=no multi-user.target 2>&1 | grep -ci 'ordering cycle' || true; }
assert_status "cloud-init installs" 0 system_apt "$root" install cloud-init ifupdown
# Its generator does this at boot.
ln -s /lib/systemd/system/cloud-init.target "$root/etc/systemd/system/multi-user.target.wants/cloud-init.target"
assert_equal "with cloud-init there is no circle" 0 "$(circles)"
mkdir "$root/etc/systemd/system/dkms.service.d"
printf '[Unit]\nBefore=network-pre.target\nWants=network-pre.target\n' >"$root/etc/systemd/system/dkms.service.d/circle.conf"
refute "the check would find one" test "$(circles)" = 0
rm -r "$root/etc/systemd/system/dkms.service.d"

# The images that mkinitramfs makes are counted; it may also be asked for its version.
mv "$root/usr/sbin/mkinitramfs" "$root/usr/sbin/mkinitramfs.real"
printf '#!/bin/sh\necho "$@" >>/var/log/images\nexec /usr/sbin/mkinitramfs.real "$@"\n' >"$root/usr/sbin/mkinitramfs"
chmod 755 "$root/usr/sbin/mkinitramfs"
images() {
    local count=0
    if [ -e "$root/var/log/images" ]; then count=$(grep -c -- '-o ' "$root/var/log/images"); fi
    rm -f "$root/var/log/images"
    echo "$count"
}

assert_status "a driver and a kernel's image install" 0 system_apt "$root" install acpi-call-dkms "linux-image-$kernel"
assert_equal "the image brings one initramfs" 1 "$(images)"
assert_status "the headers follow" 0 system_apt "$root" install "linux-headers-$kernel"
assert_match "the driver is installed" "$installed" "$(system_status "$root")"
assert_equal "a driver that does not belong into the initramfs asks for none" 0 "$(images)"

assert "the driver is taken out" root_run "$root" sh -c "dkms status | cut -d, -f1 | xargs -rn1 dkms unbuild -k $kernel"
echo 'INITRAMFS=yes' >"$root/etc/dkms/acpi-call.conf"
assert_status "the headers come again" 0 system_apt "$root" install --reinstall "linux-headers-$kernel"
assert_match "the driver is installed again" "$installed" "$(system_status "$root")"
assert_equal "a driver that belongs into the initramfs asks for one" 1 "$(images)"
assert "it is in the image" root_run "$root" sh -c "lsinitramfs /boot/initrd.img-$kernel | grep -q '/acpi_call\.ko'"
rm "$root/etc/dkms/acpi-call.conf"

# kernel-install with systemd's own plugins, of which 50-depmod follows ours.
assert "the driver is taken out" root_run "$root" sh -c "dkms status | cut -d, -f1 | xargs -rn1 dkms unbuild -k $kernel"
system_count_depmod "$root"
system_depmods "$root" >/dev/null
assert "kernel-install add succeeds" root_run "$root" kernel-install add "$kernel" "/boot/vmlinuz-$kernel"
assert_match "kernel-install add: the driver is installed" "$installed" "$(system_status "$root")"
assert_equal "kernel-install add: depmod runs once, by systemd's plugin" 1 "$(system_depmods "$root" | grep -c .)"
assert "kernel-install add: modules.dep knows it" grep -q '^updates/dkms/acpi_call\.ko' "$root/lib/modules/$kernel/modules.dep"
echo 'MAKE[0]=false' >"$root/etc/dkms/acpi-call.conf"
assert "the driver is taken out" root_run "$root" sh -c "dkms status | cut -d, -f1 | xargs -rn1 dkms unbuild -k $kernel"
assert "kernel-install add succeeds although the driver does not build" \
    root_run "$root" kernel-install add "$kernel" "/boot/vmlinuz-$kernel"
rm "$root/etc/dkms/acpi-call.conf"
assert "kernel-install remove succeeds" root_run "$root" kernel-install remove "$kernel"
assert_match "kernel-install remove: the driver is added" "^acpi-call/[^,]+: added\$" "$(system_status "$root")"

assert_done
