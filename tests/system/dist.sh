#!/bin/bash
# The tarball of a release and the Debian source package: complete, the same each time, and built without network.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
"$ROOT_PROJECT/tests/lib/need" git make gcc libc6-dev liblzma-dev pkg-config dpkg-dev debhelper dh-dkms lintian

work=$(mktemp -d)
trap 'rm -rf "$work"; root_clean' EXIT
git clone -q "$ROOT_PROJECT" "$work/clone"
dist() { make -s -C "$work/clone" dist DIST_DIR="$work/$1" >"$work/$1.out" 2>&1; }

touch "$work/clone/new"
assert_status "changes that are not committed are refused" 2 dist dirty
assert_match "it says why" 'not committed' "$(<"$work/dirty.out")"
rm "$work/clone/new"
assert_status "make dist makes the tarball" 0 dist first
tarball=$(tail -n 1 "$work/first.out")
assert_status "its checksum is right" 0 sh -c "cd '$work/first' && sha256sum --quiet -c ./*.sha256"
assert_status "a second time" 0 dist second
assert_status "it is the same" 0 cmp "$tarball" "$work/second/$(basename "$tarball")"

tar -xz -C "$work" -f "$tarball"
source=$work/$(basename "$tarball" .tar.gz)
date=$(git -C "$work/clone" log -1 --format=%cs)
assert_equal "the man pages have the date of the commit" "3" "$(grep -l "^\.TH .* \"$date\"" "$source"/packaging/man/* | wc -l)"
assert_equal "nothing but the crates and these dates is added" "Only in $source: vendor" \
    "$(diff -rq --exclude=.git "$work/clone" "$source" | grep -vE "packaging/man/[^ ]* (and|differ)|\.cargo/config.toml")"
assert_status "make source makes the source package" 0 make -s -C "$work/clone" source SOURCE_DIR="$work/source"
dsc=$(find "$work/source" -name '*.dsc')
assert_equal "lintian finds nothing to complain about" "" \
    "$(lintian --allow-root --display-info --pedantic --tag-display-limit 0 "$dsc" 2>"$work/lintian")"
assert_status "it unpacks" 0 sh -c "cd '$work' && dpkg-source --extract '$dsc' unpacked"
assert_status "its clean keeps what it needs" 0 make -s -C "$work/unpacked" -f debian/rules clean
# Where cargo finds no crates but those that came with it.
build() { (cd "$work/unpacked" && CARGO_HOME=$work/home CARGO_TARGET_DIR=$work/target unshare -n cargo check -q --locked --offline --bins); }
assert_status "the programs build without network" 0 build
assert_done
