#!/bin/bash
# A kernel is looked at before it is installed: its header packages are downloaded, every driver is built for it, nothing of the
# machine changes; then apt installs the headers, and nothing is compiled.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

root=$(system_root preflight "linux-image-$old_kernel" "linux-headers-$old_kernel")
drivers=(acpi-call-dkms v4l2loopback-dkms)
packages=(acpi-call v4l2loopback)

# What is on the machine, besides what preflight keeps and what is written down of it.
machine() {
    (cd "$root" && find boot etc lib/modules usr var/lib -path var/lib/dkms/.preflight -prune -o -path var/lib/apt -prune \
        -o -printf '%p %y %m %s %T@ %l\n' | grep -v -e '^var/lib/dkms d' | LC_ALL=C sort)
}

assert_status "the package installs by apt" 0 system_install_dkms "$root"
assert_status "drivers install by apt" 0 system_apt "$root" install "${drivers[@]}"

mkdir -p "$root/root/next"
# The tools of the headers are a package for each kernel in newer suites.
headers=("linux-headers-$new_kernel" "linux-headers-${new_kernel%-*}-common")
if root_run "$root" apt-cache show "linux-kbuild-${new_kernel%-*}" >/dev/null 2>&1; then headers+=("linux-kbuild-${new_kernel%-*}"); fi
root_run "$root" sh -c "cd /root/next && apt-get -q download ${headers[*]}" >/dev/null 2>&1
before=$(machine)
preflight() { root_run "$root" sh -c "dkms preflight $*" 2>&1; }

ready=$(preflight '/root/next/*.deb')
assert_match "the next kernel is ready" "^$(regex "$new_kernel")  ready: no package that" "$ready"
for package in "${packages[@]}"; do
    assert_match "$package builds for it" "^  $package/[^ ]+ +builds\$" "$ready"
done
assert_equal "nothing of the machine has changed" "$before" "$(machine)"
assert_equal "dpkg --audit is clean" "" "$(root_run "$root" dpkg --audit 2>&1)"
assert_no_match "callers of status see no build" "$(regex "$new_kernel")" "$(system_status "$root")"

# A second look compiles nothing; half of the headers is said to be half.
again=$(preflight '/root/next/*.deb')
assert_no_match "a second look builds nothing" '^Building .* for ' "$again"
assert_status "headers without their common part are refused" 21 preflight "/root/next/linux-headers-${new_kernel}_*.deb"

# A driver that does not compile is named. It is no loss: the running kernel does not have it.
assert_status "a driver that does not compile installs" 0 system_apt "$root" install lttng-modules-dkms
broken=$(preflight '/root/next/*.deb')
assert_match "its failure is named" '^  lttng-modules/[^ ]+ +does not build: .*\(the running kernel does not have it either\)$' "$broken"
log=$(sed -n 's/^ *log: //p' <<<"$broken" | head -n 1)
assert "its log is where the line says" test -s "$root$log"
assert_status "lttng goes" 0 system_apt "$root" purge lttng-modules-dkms

# The kernel comes.
arrives=$(system_apt "$root" install "linux-headers-$new_kernel")
for package in "${packages[@]}"; do
    assert_match "$package is used as it was built" "^$package/.* is used as dkms preflight built it" "$arrives"
    assert_match "$package is installed" "^$package/[^,]+, $(regex "$new_kernel"), x86_64: installed\$" "$(system_status "$root")"
done
assert_no_match "nothing was compiled" '^Building .* for ' "$arrives"
assert_status "the tree is consistent" 0 root_run "$root" dkms fsck

# The same modules as a build afterwards makes.
sums() { (cd "$root/lib/modules/$new_kernel/updates/dkms" && sha256sum ./*); }
kept=$(sums)
for package in "${packages[@]}"; do
    id=$(root_run "$root" dkms status "$package" | head -n 1 | cut -d, -f1)
    root_run "$root" dkms unbuild "$id" -k "$new_kernel" >/dev/null
    root_run "$root" dkms install "$id" -k "$new_kernel" >/dev/null 2>&1
done
assert_equal "modules are byte for byte those that a build makes now" "$kept" "$(sums)"

# A metapackage of an older version stands for a machine that was not upgraded yet: its upgrade brings the new headers.
mkdir -p "$root/tmp/meta/DEBIAN"
printf 'Package: linux-headers-amd64\nVersion: 1\nArchitecture: amd64\nMaintainer: t <t@example.org>\nDescription: old\n' \
    >"$root/tmp/meta/DEBIAN/control"
root_run "$root" dpkg-deb -b /tmp/meta /tmp/meta.deb >/dev/null
go_back() {
    system_apt "$root" purge linux-headers-amd64 "${headers[@]}" >/dev/null
    root_run "$root" dkms kernel_prerm -k "$new_kernel" >/dev/null
    root_run "$root" dpkg -i /tmp/meta.deb >/dev/null
    rm -rf "$root/var/lib/dkms/.preflight"
}
policy() { echo "preflight=$1" >"$root/etc/dkms/framework.conf.d/preflight.conf"; }
upgrade() { system_apt "$root" install linux-headers-amd64; }
installed() { grep -cF "$new_kernel, x86_64: installed" <<<"$(system_status "$root")" || true; }
# shellcheck disable=SC2016 # dpkg's own placeholder
is_there() { root_run "$root" dpkg-query -W -f '${db:Status-Abbrev}' "linux-headers-$new_kernel" 2>/dev/null | grep -q '^ii'; }

# What apt would install is asked by --next.
go_back
next=$(preflight --next)
assert_match "--next finds the kernel that apt would install" "^$(regex "$new_kernel")  ready: " "$next"
assert "nothing of the headers is left" test ! -e "$root/var/lib/dkms/.preflight/.headers"

# report: nothing is built before, and everything after.
go_back
policy report
started=$SECONDS
report=$(upgrade)
echo "# the upgrade compiles: $((SECONDS - started)) s"
assert_match "with report the hook compiles" "^Building acpi-call/.* for $(regex "$new_kernel")" "$report"
assert_equal "with report the drivers are installed" 2 "$(installed)"

# A driver that does not compile, and that the administrator requires.
assert_status "a driver that does not compile installs again" 0 system_apt "$root" install lttng-modules-dkms
go_back
printf 'required="yes"\n' >"$root/etc/dkms/lttng-modules.conf"

# require: apt stops before anything is unpacked, and passes with the override.
policy require
assert_status "with require apt stops" 100 upgrade
stopped=$(upgrade || true)
assert_match "it says which package" "Nothing is installed, because kernel $(regex "$new_kernel") would not have lttng-modules/" "$stopped"
assert_match "it says the way out" 'apt-mark hold .*DKMS_PREFLIGHT=report apt upgrade' "$stopped"
assert_equal "dpkg --audit is clean" "" "$(root_run "$root" dpkg --audit 2>&1)"
refute "the headers are not there" is_there
assert_match "the notice at login says why" "kernel $(regex "$new_kernel") was not installed, because it would lack" \
    "$(cat "$root/run/motd.d/dkms-preflight" 2>/dev/null || echo none)"
passes() { system_apt_with DKMS_PREFLIGHT=report "$root" install linux-headers-amd64; }
assert_status "with the override it passes" 0 passes
assert "the headers are there" is_there
assert_status "lttng goes again" 0 system_apt "$root" purge lttng-modules-dkms

# build: compiled before it is unpacked, installed after; and unattended-upgrade does the same.
go_back
policy build
build=$(upgrade)
before_unpacking=$(sed '/^Unpacking linux-headers-/,$d' <<<"$build")
after_unpacking=$(sed -n '/^Unpacking linux-headers-/,$p' <<<"$build")
assert_match "with build drivers are compiled before the kernel is unpacked" "^Building acpi-call/.* for $(regex "$new_kernel")" "$before_unpacking"
assert_no_match "and not after" "^Building .* for $(regex "$new_kernel")" "$after_unpacking"
assert_equal "with build the drivers are installed" 2 "$(installed)"
go_back
root_run "$root" sh -c 'cd /tmp && dkms preflight --next' >/dev/null 2>&1
started=$SECONDS
instant=$(upgrade)
echo "# the upgrade finds what was built days before: $((SECONDS - started)) s"
assert_no_match "what was built days before is not compiled again" "^Building .* for $(regex "$new_kernel")" "$instant"

assert_status "unattended-upgrades installs" 0 system_apt "$root" install unattended-upgrades
printf 'Unattended-Upgrade::Origins-Pattern { "origin=*"; };\n' >"$root/etc/apt/apt.conf.d/99unattended"
go_back
# Its downloads go where those of other scripts go, which have their turns.
unattended() { flock "$ROOT_APT_CACHE.lock" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" unattended-upgrade -v; }
unattended >/dev/null 2>&1 || true
assert "unattended-upgrade installs the headers" is_there
assert_equal "unattended-upgrade installs the drivers" 2 "$(installed)"
log=$(cat "$root/var/log/unattended-upgrades/"*dpkg.log)
assert_match "with what was built before" 'is used as dkms preflight built it' "$log"

# Removed and not purged: apt says nothing of us.
assert_status "the package goes" 0 system_apt "$root" remove dkms-rs
quiet=$(system_apt "$root" install --reinstall "linux-headers-$old_kernel")
assert_no_match "apt does not miss the hook" 'preflight' "$quiet"

assert_done
