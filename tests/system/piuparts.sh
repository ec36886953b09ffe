#!/bin/bash
# piuparts(1): our packages come and go, and leave nothing behind.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
"$ROOT_PROJECT/tests/lib/need" piuparts mmdebstrap debian-archive-keyring
export ROOT_KERNELS=no

# shellcheck disable=SC2119 # no package on purpose
base=$(root_base)
piu() { piuparts --existing-chroot="$base" --distribution="$ROOT_SUITE" --keep-sources-list --no-eatmydata "$@" 2>&1; }

assert_status "installed and purged" 0 piu "$DKMS_DEB"
assert_status "installed, removed and installed again, with a driver" 0 \
    piu --install-remove-install "$DKMS_DEB" "$(dirname "$DKMS_DEB")"/dkms-rs-tests/dkms-test-dkms_*.deb
assert_status "installed, purged and installed again" 0 piu --install-purge-install "$DKMS_DEB"
assert_done
