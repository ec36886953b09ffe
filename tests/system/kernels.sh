#!/bin/bash
# Driver packages of Debian on a machine with one kernel, then a second kernel, then a driver that does not compile, then all
# of it removed again. Everything by apt, as a user does it.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

drivers=(acpi-call-dkms dm-writeboost-dkms v4l2loopback-dkms jool-dkms)
# The modules by package as `dkms status` names it, a regular expression.
declare -A modules=([acpi-call]="acpi_call" [dm-writeboost]="dm-writeboost" [v4l2loopback]="v4l2loopback"
    ["jool(-dkms)?"]="jool jool_siit jool_common")
broken_driver=lttng-modules-dkms

root=$(system_root kernels "linux-image-$old_kernel" "linux-headers-$old_kernel")

assert_installed_for() {
    local when=$1 kernel=$2 package module status found
    status=$(system_status "$root" -k "$kernel")
    for package in "${!modules[@]}"; do
        assert_match "$when: $package is installed for $kernel" "^$package/[^,]+, $(regex "$kernel"), x86_64: installed\$" "$status"
        for module in ${modules[$package]}; do
            found=$(cd "$root/lib/modules/$kernel/updates/dkms" 2>/dev/null && ls "$module".ko* 2>/dev/null) || true
            assert_match "$when: $module is a file in updates/dkms of $kernel" "^$module\.ko(\.xz)?\$" "$found"
            assert "$when: $module is in modules.dep of $kernel" \
                grep -qE "^updates/dkms/$module\.ko(\.xz)?:" "$root/lib/modules/$kernel/modules.dep"
        done
    done
}

assert_dpkg_clean() {
    assert_equal "$1: dpkg --audit is clean" "" "$(root_run "$root" dpkg --audit 2>&1)"
}

# How often a program of ours has run depmod for the kernel $2 since forget_depmods: at most $3 times.
forget_depmods() { calls=""; system_depmods "$root" >/dev/null; }
assert_depmods() {
    local when=$1 kernel=$2 most=$3 ours
    calls+=$(system_depmods "$root")$'\n'
    ours=$(grep -cE "^dkms: .*$(regex "$kernel")" <<<"$calls" || true)
    if [ "$ours" -le "$most" ]; then
        pass "$when: depmod ran $ours times for $kernel"
    else
        fail "$when: at most $most depmod runs for $kernel" "$ours, of all these:"
        printf '    %s\n' "$calls"
    fi
}

assert_status "the package installs by apt" 0 system_install_dkms "$root"
system_count_depmod "$root"

for driver in "${drivers[@]}"; do
    forget_depmods
    assert_status "$driver installs by apt" 0 system_apt "$root" install "$driver"
    assert_depmods "$driver" "$old_kernel" 1
done
assert_installed_for "drivers by apt" "$old_kernel"
assert_dpkg_clean "drivers by apt"

forget_depmods
screen=$root/tmp/screen
system_apt_on_terminal "$root" install "linux-image-$new_kernel" "linux-headers-$new_kernel" >"$screen" 2>&1 && status=0 || status=$?
assert_equal "a second kernel installs by apt" 0 "$status"
escape=$'\e'
assert "apt draws its progress bar" grep -qF "${escape}[24;0f" "$screen"
# The terminal ends each line by a carriage return of its own.
ours=$(tr -d '\r' <"$screen" | grep -E '(Building|ok) [a-z0-9-]+/[0-9]|^Autoinstall on ' || true)
assert_match "our lines stand beside apt's bar" "^ok acpi-call/[^ ]+ [0-9]+s\$" "$ours"
assert_no_match "and nothing of ours moves the cursor" "$escape" "$ours"
assert_installed_for "second kernel" "$new_kernel"
assert_installed_for "second kernel" "$old_kernel"
assert_dpkg_clean "second kernel"
assert_depmods "second kernel" "$new_kernel" 1

output=$(system_apt "$root" install "$broken_driver") && status=0 || status=$?
assert_equal "a driver that does not compile: apt succeeds" 0 "$status"
assert_match "a driver that does not compile: the failing kernel is named" \
    "Bad return status for module build on kernel: $(regex "$new_kernel") \(x86_64\)" "$output"
assert_match "a driver that does not compile: the log is named" "make\.log" "$output"
assert_no_match "a driver that does not compile: not installed" "^lttng-modules/.*: installed" "$(system_status "$root")"
assert_installed_for "a driver that does not compile" "$new_kernel"
assert_dpkg_clean "a driver that does not compile"

# The driver that takes longest goes first, and its modules with it.
assert_status "one driver is purged by apt" 0 system_apt "$root" purge jool-dkms
unset 'modules[jool(-dkms)?]'
assert_no_match "one purged driver: nothing of it in status" '^jool' "$(system_status "$root")"
assert_equal "one purged driver: no module of it is left" "" "$(find "$root/lib/modules" -name 'jool*' -path '*/updates/*')"
assert_installed_for "one purged driver" "$new_kernel"

forget_depmods
assert_status "a kernel is purged by apt" 0 system_apt "$root" purge "linux-image-$new_kernel" "linux-headers-$new_kernel"
assert_equal "purged kernel: nothing of it in status" "" "$(system_status "$root" | grep -F "$new_kernel" || true)"
assert_equal "purged kernel: nothing of it in the tree" "" \
    "$(cd "$root/var/lib/dkms" && find . -path "*$new_kernel*" ! -path '*/build/*')"
assert_equal "purged kernel: no file or directory of ours is left" "" \
    "$(cd "$root/lib/modules" && find . -path "./$new_kernel/updates*" -o -path "./$new_kernel/*dkms*")"
assert_equal "purged kernel: its directory is gone" "" "$(cd "$root/lib/modules" && find . -path "./$new_kernel*")"
assert_installed_for "purged kernel" "$old_kernel"
assert_dpkg_clean "purged kernel"
assert_depmods "purged kernel" "$new_kernel" 1
assert_depmods "purged kernel" "$old_kernel" 0

# The kernel comes back beside the driver that fails: the others must be there, and the kernel configured.
forget_depmods
output=$(system_apt "$root" install "linux-image-$new_kernel" "linux-headers-$new_kernel") && status=0 || status=$?
assert_equal "a kernel for which one driver fails: apt succeeds" 0 "$status"
assert_match "a kernel for which one driver fails: it is named" "lttng-modules" "$output"
assert_installed_for "a kernel for which one driver fails" "$new_kernel"
assert_dpkg_clean "a kernel for which one driver fails"
assert_depmods "a kernel for which one driver fails" "$new_kernel" 1

assert_status "the drivers are purged by apt" 0 system_apt "$root" purge acpi-call-dkms dm-writeboost-dkms v4l2loopback-dkms \
    "$broken_driver"
assert_equal "purged drivers: status is empty" "" "$(system_status "$root")"
assert_equal "purged drivers: no directory is left in the tree" "" \
    "$(find "$root/var/lib/dkms" -mindepth 1 -type d -printf '%P\n')"
for kernel in "$old_kernel" "$new_kernel"; do
    refute "purged drivers: no updates directory in $kernel" test -e "$root/lib/modules/$kernel/updates"
    refute "purged drivers: modules.dep of $kernel knows none" grep -q '^updates/' "$root/lib/modules/$kernel/modules.dep"
done
assert_dpkg_clean "purged drivers"

assert_done
