#!/bin/bash
# The README's two commands on a machine that has nothing but apt, git and the Rust toolchain: each script names what it uses, or
# fails here. The programs are those that are built already; of the tests one script of each part runs.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
"$ROOT_PROJECT/tests/lib/need" mmdebstrap debian-archive-keyring mount git

bare=$ROOT_CACHE/bare
make_bare() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg work=$bare.new.$$
    [ ! -d "$bare" ] || return 0
    rm -rf "$work"
    root_apt_options >"$work.conf"
    root_sources "$keyring" | mmdebstrap --quiet --mode=root --variant=apt --format=directory --aptopt="$work.conf" \
        --include=ca-certificates,git,debian-archive-keyring bookworm "$work" - >&2 || return 1
    rm -f "$work.conf" "$work/etc/apt/sources.list.d/"* "$work/etc/apt/apt.conf.d/99mmdebstrap"
    root_configure "$work"
    rm -rf "$work/etc/initramfs-tools"
    mv "$work" "$bare"
}
root_locked make_bare
root=$(root_copy bare "$bare")

# A clean clone, the toolchain with its crates, the cache of roots, and the programs of the package.
git -c safe.directory='*' clone --quiet "$ROOT_PROJECT" "$root/root/project"
mkdir -p "$root/root/.cargo" "$root/root/.rustup" "$root/root/project/target/roots" "$root/root/programs"
mount --bind "${CARGO_HOME:-${HOME:-/root}/.cargo}" "$root/root/.cargo"
mount --bind "${RUSTUP_HOME:-${HOME:-/root}/.rustup}" "$root/root/.rustup"
mount --bind "$ROOT_CACHE" "$root/root/project/target/roots"
# What apt downloads here is its own: the lock on the shared store is not known inside.
umount "$root/var/cache/apt/archives"
dpkg-deb --extract "$DKMS_DEB" "$root/root/deb"
cp "$root/root/deb/usr/sbin/dkms" "$root/root/deb/usr/lib/dkms/dkms-hooks" "$root/root/deb/usr/lib/dkms/dkms-cc" "$root/root/programs/"

# within WORDS...: in the clone, as a newcomer's shell has it.
within() {
    env -i PATH=/root/.cargo/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 BUILT=yes \
        PROGRAM_DIR=/root/programs DKMS_TEST_SLOW="kill_at_any_change::case_01" DKMS_TEST_COMPAT="add" DKMS_TEST_SYSTEM="package_rpm" \
        chroot "$root" sh -c 'cd /root/project && "$@"' sh "$@" </dev/null
}

refute "the machine has no compiler and no make" within sh -c 'command -v gcc || command -v make || command -v mount'
assert_status "the demo runs" 0 within env DKMS=/root/programs/dkms ./packaging/demo
assert_status "the package is made" 0 within ./packaging/make-deb
# The cases that mount, that sign and that are traced.
output=$(within ./tests/run --test cases -- isolation foreign_files signing 2>&1) || true
assert_match "tests/run ends well" '^[0-9]+ passed, 0 failed$' "$(tail -n 1 <<<"$output")"
for part in 'cargo test' 'slow tests' 'make deb' tests/compat/run tests/system/run; do
    assert_match "tests/run: the part $part is good" "^$part +good, " "$output"
done
assert_match "tests/run: a slow test ran" '^test .*kill_at_any_change::case_01.* ok$' "$output"
assert_no_match "tests/run leaves no part out" 'left out' "$output"

assert_done
