#!/bin/bash
# The tests of the Debian source package, each in a fresh root, as autopkgtest(1) calls them; autopkgtest's own null server stands for
# a machine. Two of them, in CI, for time's sake: DKMS_AUTOPKGTESTS="NAME..." names others, `all` runs each.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

debian=$ROOT_PROJECT/packaging/debian
# Of another architecture, or compiling the crate.
elsewhere='foreign-kernel cases'
tests=${DKMS_AUTOPKGTESTS:-headers-after-driver driver-packages}
if [ "$tests" = all ]; then
    tests=$(sed -n 's/^Tests: //p; s/^Features: test-name=//p' "$debian/tests/control" | tr ',\n' '  ')
fi

# result NAME: the line of autopkgtest's summary.
result() {
    local root
    root=$(system_root "autopkgtest-$1" autopkgtest)
    mkdir -p "$root/root/source" "$root/root/packages"
    cp -r "$debian" "$root/root/source/debian"
    cp "$DKMS_DEB" "$(dirname "$DKMS_DEB")"/dkms-rs-tests/*.deb "$root/root/packages/"
    # What apt downloads here is its own: other scripts that use the shared store would have to wait until the end.
    umount "$root/var/cache/apt/archives"
    # shellcheck disable=SC2016 # for the inner shell
    root_run "$root" sh -c \
        'autopkgtest --test-name="$1" --ignore-restrictions=breaks-testbed --summary-file=/root/summary \
            /root/packages/*.deb /root/source/ -- null' sh "$1" </dev/null >&2 || true
    sed -n "s/^$1  *//p" "$root/root/summary"
    root_drop "autopkgtest-$1"
}

for name in $tests; do
    case " $elsewhere " in
        *" $name "*) ;;
        *) assert_equal "$name" PASS "$(result "$name")" ;;
    esac
done

assert_done
