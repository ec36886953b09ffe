#!/bin/bash
# The hooks of /etc/kernel as kernel packages call them: headers that come after the image, debconf on stdout and on descriptor
# 3, no standard input, and the two spellings of DEB_MAINT_PARAMS.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

root=$(system_root hooks)
kernel=$old_kernel
installed="^acpi-call/[^,]+, $(regex "$kernel"), x86_64: installed\$"

assert_status "the package installs by apt" 0 system_install_dkms "$root"
assert_status "a driver installs where there is no kernel" 0 system_apt "$root" install acpi-call-dkms
assert_match "no kernel: the driver is added" "^acpi-call/[^,]+: added\$" "$(system_status "$root")"

output=$(system_apt "$root" install "linux-image-$kernel") && status=0 || status=$?
assert_equal "image without headers: apt succeeds" 0 "$status"
assert_match "image without headers: a note says so" "headers" "$(grep -i -A3 dkms <<<"$output")"
assert_match "image without headers: the driver stays added" "^acpi-call/[^,]+: added\$" "$(system_status "$root")"

assert_status "headers after the image: apt succeeds" 0 system_apt "$root" install "linux-headers-$kernel"
assert_match "headers after the image: the driver is installed" "$installed" "$(system_status "$root")"
assert "headers after the image: modules.dep knows it" \
    grep -q '^updates/dkms/acpi_call\.ko' "$root/lib/modules/$kernel/modules.dep"

unbuild() {
    root_run "$root" sh -c "dkms uninstall \$(dkms status -k $kernel | cut -d, -f1) -k $kernel &&
        dkms unbuild \$(dkms status -k $kernel | cut -d, -f1) -k $kernel" >/dev/null 2>&1
}

# hook EVENT [VARIABLE=VALUE]: as run-parts calls it from a maintainer script that speaks to debconf: stdout and descriptor 3 lead to
# debconf, which waits until all writers have gone. Standard input is closed. Prints what debconf would have read.
hook() {
    local event=$1 status=0
    shift
    {
        timeout 300 env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
            DPKG_MAINTSCRIPT_PACKAGE="linux-image-$kernel" DPKG_MAINTSCRIPT_NAME="$event" "$@" chroot "$root" \
            run-parts --report --exit-on-error --regex '^dkms$' --arg="$kernel" --arg="/boot/vmlinuz-$kernel" \
            "/etc/kernel/$event.d" 3>&1 2>"$root/tmp/hook.err" <&- || status=$?
        echo "$status" >"$root/tmp/hook.status"
    } | timeout 330 cat
    status=$(<"$root/tmp/hook.status")
    return "$status"
}

for parameters in "'configure' ''" "configure " "configure 6.1.0-1"; do
    assert "the driver is taken out" unbuild
    read_by_debconf=$(hook postinst DEB_MAINT_PARAMS="$parameters") && status=0 || status=$?
    assert_equal "postinst hook, DEB_MAINT_PARAMS=$parameters: succeeds" 0 "$status"
    assert_equal "postinst hook, DEB_MAINT_PARAMS=$parameters: debconf reads nothing" "" "$read_by_debconf"
    assert_match "postinst hook, DEB_MAINT_PARAMS=$parameters: builds" "$installed" "$(system_status "$root")"
    assert_match "postinst hook, DEB_MAINT_PARAMS=$parameters: reports on stderr" "acpi-call" "$(<"$root/tmp/hook.err")"
done

assert "the driver is taken out" unbuild
read_by_debconf=$(hook header_postinst) && status=0 || status=$?
assert_equal "header hook without DEB_MAINT_PARAMS: succeeds" 0 "$status"
assert_equal "header hook without DEB_MAINT_PARAMS: debconf reads nothing" "" "$read_by_debconf"
assert_match "header hook without DEB_MAINT_PARAMS: builds" "$installed" "$(system_status "$root")"

started=$SECONDS
read_by_debconf=$(hook postinst DEB_MAINT_PARAMS="configure") && status=0 || status=$?
assert_equal "second call: succeeds and debconf reads nothing" "0 " "$status $read_by_debconf"
assert "second call: builds nothing again" test $((SECONDS - started)) -lt 5

# in_image MODULE: it is in the image that the real mkinitramfs packs.
in_image() {
    root_run "$root" sh -ec "mkinitramfs -o /tmp/image $kernel 2>/tmp/mkinitramfs.err; lsinitramfs /tmp/image | grep -q '/$1\.ko'"
}
refute "initramfs: a module that was not asked for is not in the image" in_image acpi_call
echo 'INITRAMFS=yes' >"$root/etc/dkms/acpi-call.conf"
assert "initramfs: INITRAMFS=yes puts a module into the image" in_image acpi_call
assert "initramfs: it is loaded by name from the image's own index" root_run "$root" sh -ec \
    "rm -rf /tmp/unpacked; unmkinitramfs /tmp/image /tmp/unpacked; grep -rqs 'acpi_call' /tmp/unpacked --include=modules.dep"
rm "$root/etc/dkms/acpi-call.conf"

read_by_debconf=$(hook prerm DEB_MAINT_PARAMS="remove") && status=0 || status=$?
assert_equal "prerm hook: succeeds and debconf reads nothing" "0 " "$status $read_by_debconf"
assert_match "prerm hook: the driver is added again" "^acpi-call/[^,]+: added\$" "$(system_status "$root")"
refute "prerm hook: no updates directory is left" test -e "$root/lib/modules/$kernel/updates"
assert "prerm hook: the kernel's own modules stay" test -d "$root/lib/modules/$kernel/kernel/drivers"

for event in preinst postinst prerm header_postinst; do
    mv "$root/usr/lib/dkms" "$root/usr/lib/dkms.away"
    mv "$root/usr/sbin/dkms" "$root/usr/sbin/dkms.away"
    hook "$event" DEB_MAINT_PARAMS="configure" >/dev/null && status=0 || status=$?
    mv "$root/usr/lib/dkms.away" "$root/usr/lib/dkms"
    mv "$root/usr/sbin/dkms.away" "$root/usr/sbin/dkms"
    assert_equal "$event hook left behind by a removed package: succeeds" 0 "$status"
done

assert_done
