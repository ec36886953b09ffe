#!/bin/bash
# The recipe of docs/fleet.md, as it stands there: a machine that builds and signs for kernels that it does not run, a repository
# on disk, and a machine without dkms, headers or compiler that gets the modules with the kernel, and the next ones by an upgrade.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
with_kernels=$(root_base lsb-release)
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
repository=/srv/fleet

# recipe WORD: the blocks of the page that are for a machine of this kind
recipe() { awk -v start="\`\`\`sh $1" '$0 == start { on = 1; next } /^```/ { on = 0 } on' "$ROOT_PROJECT/docs/fleet.md"; }
# play ROOT WORD KERNEL: runs them there; a machine that builds is no chroot, or it would not sign
play() {
    recipe "$2" >"$1/root/recipe"
    [ -s "$1/root/recipe" ] || return 1
    # The roots of all tests have one store of packages, and apt does not wait for others there.
    local status=0
    exec 7>"$ROOT_APT_CACHE.lock"
    flock 7
    root_boot "$1" env MODULE=v4l2loopback VERSION="$version" KERNEL="$3" REPOSITORY=$repository bash -eu /root/recipe 7>&- || status=$?
    exec 7>&-
    return $status
}

builder=$(root_copy builder "$with_kernels")
system_install_dkms "$builder" >/dev/null
system_apt "$builder" install --no-install-recommends apt-utils >/dev/null
root_apt_plain "$builder" install --download-only --reinstall v4l2loopback-dkms >/dev/null
dpkg-deb --fsys-tarfile "$(find "$ROOT_APT_CACHE" -name 'v4l2loopback-dkms_*.deb' | sort -V | tail -n 1)" | tar -x -C "$builder" ./usr/src
version=$(basename "$builder"/usr/src/v4l2loopback-*)
version=${version#v4l2loopback-}
mkdir -p "$builder$repository" "$builder/etc/ci"
root_run "$builder" openssl req -new -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=The fleet" \
    -keyout /etc/ci/modules.key -outform DER -out /etc/ci/modules.der 2>/dev/null

assert_status "the modules of the first kernel are built, signed and published" 0 play "$builder" build "$old_kernel"

client=$(system_root client)
rm -f "$client"/usr/bin/{make,cc,gcc,gcc-12,c99,x86_64-linux-gnu-gcc*,cpp*}
mkdir -p "$client$repository"
cp "$builder$repository"/* "$client$repository/"
started=$SECONDS
assert_status "a machine installs the fleet's kernel" 0 play "$client" client "$old_kernel"
echo "# kernel and modules were installed in $((SECONDS - started)) s; the modules' package has $(stat -c %s "$client$repository/v4l2loopback-modules-$old_kernel"_*.deb) bytes"
knows() { grep -q '^updates/dkms/v4l2loopback\.ko' "$client/lib/modules/$1/modules.dep"; }
assert "its modules.dep knows the module" knows "$old_kernel"
assert_equal "the module is signed by the fleet" "The fleet" "$(root_run "$client" modinfo -k "$old_kernel" -F signer v4l2loopback)"
assert_no_match "there is no dkms" '^ii  dkms' "$(root_run "$client" dpkg -l)"
assert_no_match "there are no headers" '^ii  linux-headers' "$(root_run "$client" dpkg -l)"

assert_status "those of the next kernel are published" 0 play "$builder" build "$new_kernel"
cp "$builder$repository"/* "$client$repository/"
assert_status "the machine upgrades" 0 play "$client" upgrade "$new_kernel"
assert "the new kernel is there" test -e "$client/boot/vmlinuz-$new_kernel"
assert "and its modules.dep knows the module" knows "$new_kernel"
assert "the old kernel keeps its own" knows "$old_kernel"
assert_equal "apt is content" "" "$(root_run "$client" apt-get -q check 2>&1 | grep -v '^\(Reading\|Building\)' || true)"

assert_done
