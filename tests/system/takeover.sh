#!/bin/bash
# Our package takes the place of Debian's dkms on a machine in use, and gives it back: no module, no setting and no state is
# lost on the way, and dpkg asks nothing.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

root=$(system_root takeover "linux-image-$old_kernel" "linux-headers-$old_kernel" dkms acpi-call-dkms v4l2loopback-dkms)

# shellcheck disable=SC2016 # a field of dpkg-query
state_of() { root_run "$root" dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null || true; }
# Our lock file stays where the initramfs is packed anew; no other dkms sees a hidden file there.
tree_of() { (cd "$root" && find var/lib/dkms "lib/modules/$old_kernel/updates" ! -name .lock -printf '%p %y %l\n' | LC_ALL=C sort); }
kept_aside() { find "$root/etc" -name '*dkms-rs*' -o -name '*.dpkg-*' -path '*dkms*'; }
assert_dpkg_clean() { assert_equal "$1: dpkg --audit is clean" "" "$(root_run "$root" dpkg --audit 2>&1)"; }
assert_hooks() {
    local event
    for event in postinst prerm header_postinst; do
        assert "$1: the $event hook is there" test -x "$root/etc/kernel/$event.d/dkms"
    done
}

edited=$'# Edited by the administrator.\nparallel_jobs="2"'
printf '%s\n' "$edited" >"$root/etc/dkms/framework.conf"
printf '# for one package\n' >"$root/etc/dkms/acpi-call.conf"
rm "$root/etc/modprobe.d/dkms.conf"
status_before=$(system_status "$root")
tree_before=$(tree_of)
assert_match "before: installed by Debian's dkms" "^acpi-call/[^,]+, $(regex "$old_kernel"), x86_64: installed\$" "$status_before"

assert_status "takeover: apt installs ours in its place" 0 system_install_dkms "$root"
assert_equal "takeover: the package is ours" "ii " "$(state_of dkms-rs)"
assert_match "takeover: dkms is removed" '^(rc |un |)$' "$(state_of dkms)"
assert_equal "takeover: status is the same" "$status_before" "$(system_status "$root")"
assert_equal "takeover: the tree and the modules are the same" "$tree_before" "$(tree_of)"
assert_equal "takeover: the edited framework.conf is kept" "$edited" "$(<"$root/etc/dkms/framework.conf")"
assert "takeover: the setting of one package is kept" test -f "$root/etc/dkms/acpi-call.conf"
refute "takeover: a removed file of /etc stays away" test -e "$root/etc/modprobe.d/dkms.conf"
assert_equal "takeover: nothing is left aside in /etc" "" "$(kept_aside)"
assert_match "takeover: the drivers' dependency holds" '^ii $' "$(state_of acpi-call-dkms)"
assert_status "takeover: apt is content" 0 system_apt "$root" check
assert_hooks takeover
assert_dpkg_clean takeover

assert_status "purge of the old package succeeds" 0 root_run "$root" dpkg --purge dkms
assert_equal "purge: the edited framework.conf is kept" "$edited" "$(cat "$root/etc/dkms/framework.conf" 2>&1)"
assert_hooks purge
assert_equal "purge: status is the same" "$status_before" "$(system_status "$root")"
assert_equal "purge: the tree and the modules are the same" "$tree_before" "$(tree_of)"
assert_dpkg_clean purge

assert_status "ours is installed again over itself" 0 root_run "$root" dpkg -i /tmp/dkms-rs.deb
assert_equal "again: the edited framework.conf is kept" "$edited" "$(cat "$root/etc/dkms/framework.conf" 2>&1)"
refute "again: a removed file of /etc stays away" test -e "$root/etc/modprobe.d/dkms.conf"

assert_status "a second kernel arrives" 0 \
    system_apt "$root" install "linux-image-$new_kernel" "linux-headers-$new_kernel"
for kernel in "$old_kernel" "$new_kernel"; do
    for package in acpi-call v4l2loopback; do
        assert_match "second kernel: $package is installed for $kernel" "^$package/[^,]+, $(regex "$kernel"), x86_64: installed\$" \
            "$(system_status "$root")"
    done
done
status_before=$(system_status "$root")
tree_before=$(tree_of)

# What our package cannot decide is whether Debian's asks about an edited file; with the answer "keep" given, nothing is lost.
assert_status "giving back: apt installs dkms again" 0 \
    system_apt "$root" -o Dpkg::Options::=--force-confold install dkms
assert_equal "giving back: the package is Debian's" "ii " "$(state_of dkms)"
assert_match "giving back: ours is removed" '^(rc |un |)$' "$(state_of dkms-rs)"
assert_equal "giving back: status is the same" "$status_before" "$(system_status "$root")"
assert_equal "giving back: the edited framework.conf is kept" "$edited" "$(<"$root/etc/dkms/framework.conf")"
assert_hooks "giving back"
assert_dpkg_clean "giving back"
assert_status "giving back: ours is purged" 0 root_run "$root" dpkg --purge dkms-rs
assert_equal "ours purged: the edited framework.conf is kept" "$edited" "$(cat "$root/etc/dkms/framework.conf" 2>&1)"
assert_equal "ours purged: status is the same" "$status_before" "$(system_status "$root")"
assert_hooks "ours purged"
assert_dpkg_clean "ours purged"

assert_status "a driver is purged under Debian's dkms" 0 system_apt "$root" purge acpi-call-dkms
assert_no_match "a driver is purged under Debian's dkms: it is gone" '^acpi-call' "$(system_status "$root")"
for kernel in "$old_kernel" "$new_kernel"; do
    refute "a driver is purged under Debian's dkms: its module for $kernel is gone" \
        test -e "$root/lib/modules/$kernel/updates/dkms/acpi_call.ko"
done

assert_done
