# shellcheck shell=bash
# Throw-away Debian roots for the tests that need a real system: a cached base, cheap overlay copies of it, and a clean way in.
#
# Source it; it runs nothing by itself. A script that makes copies starts like this:
#
#     . "$(dirname "$0")/../lib/root.sh"
#     root_private "$0" "$@"             # from here on: own mount namespace, every mount vanishes with the script
#     lower=$(root_base dkms)            # the base plus the package dkms; built once, then cached
#     root=$(root_copy mine "$lower")
#     root_run "$root" dkms status
#     root_drop mine
#
# Needs: root, Linux with overlayfs, mmdebstrap, a Debian 12 apt set-up on the machine (mirror and options are read from it
# when a root is built; none is named here). Everything is kept below $ROOT_CACHE (default: target/roots of this project),
# downloaded packages in $ROOT_APT_CACHE (default: target/apt-cache). Deleting either is always safe.
#
# Functions
#   root_private SCRIPT ARGS...  Re-run the calling script in a private mount namespace (at once if it already is in one).
#                                Installs an EXIT trap that deletes the copies; a script with its own trap calls root_clean in it.
#   root_kernels [N]             Print the N (default 2) newest kernel releases of the suite, oldest first: "6.1.0-NN-amd64",
#                                "6.12.NN+deb13-amd64". Where the suite has one alone, the cloud flavour is the other. The base
#                                holds headers for these two. The list is fixed when the base is first made, so that a new
#                                kernel in the archive does not change the tests under way.
#   root_base [PACKAGE...]       Print the overlay "lower" specification of the cached base, after building it if need be:
#                                minbase, kernel headers for both releases of root_kernels, the image of the older one (so
#                                that one kernel has a real /lib/modules/K/kernel), gcc, make, patch, kmod, strip, sign-file,
#                                openssl, initramfs-tools; NO dkms. PACKAGES are apt-installed in a further cached layer.
#                                Cache keys are hashes of the recipe. Concurrent callers wait for each other.
#                                With ROOT_KERNELS=no set, a base without kernels and headers, for tests in which they arrive.
#                                With DKMS_TEST_SUITE (or ROOT_SUITE) set, of another suite of Debian than bookworm.
#   root_copy NAME [LOWER]       Make a fresh writable copy (overlay) of LOWER (default: root_base) and print its directory.
#                                /proc, /sys, /dev, /run, /tmp and the apt archive cache are mounted in it.
#   root_run ROOT CMD...         Run CMD in ROOT by chroot with a clean environment (PATH HOME TERM LC_ALL=C.UTF-8
#                                DEBIAN_FRONTEND=noninteractive). Standard streams and exit code are CMD's. A dkms inside
#                                notices that it is in a chroot (and therefore does not sign).
#   root_boot ROOT CMD...        As root_run, but CMD's shell is process 1 of its own PID namespace with ROOT as its root: no
#                                chroot for a dkms inside, so modules are signed. All its processes end with it.
#   root_apt ROOT ARGS...        apt-get -y -q ARGS in ROOT, without recommended packages, one caller at a time.
#   root_env VAR=VALUE...        Set extra variables for the next root_run/root_boot calls; without arguments: none.
#   root_drop NAME               Unmount and delete a copy.   root_clean   The same for all copies of this script.

set -o pipefail

ROOT_PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
ROOT_CACHE=${ROOT_CACHE:-$ROOT_PROJECT/target/roots}
ROOT_APT_CACHE=${ROOT_APT_CACHE:-$ROOT_PROJECT/target/apt-cache}
ROOT_COPIES=$ROOT_CACHE/copies.${ROOT_OWNER:-$$}
ROOT_EXTRA_ENV=()
ROOT_KERNELS=${ROOT_KERNELS:-yes}
ROOT_SUITE=${ROOT_SUITE:-${DKMS_TEST_SUITE:-bookworm}}

# What the base holds. Part of the cache key, like root_build_base itself.
ROOT_BASE_PACKAGES=(
    apt ca-certificates
    build-essential dpkg-dev make gcc patch kmod binutils openssl xz-utils zstd cpio
    initramfs-tools procps file bc bison flex libelf-dev
)

root_die() {
    printf 'root.sh: %s\n' "$*" >&2
    exit 1
}

root_private() {
    if [ "${ROOT_OWNER:-}" = $$ ]; then
        trap root_clean EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        return 0
    fi
    [ "$(id -u)" = 0 ] || root_die 'must run as root (overlay mounts, chroot)'
    ROOT_OWNER=$$ exec unshare --mount --propagation private -- bash "$@"
}

# Sources of the machine's own Debian mirror, from what apt itself uses. "signed" goes into the square brackets of each line.
root_sources() {
    local signed=$1 uri codename
    # shellcheck disable=SC2016 # apt's own placeholders
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT) $(CODENAME) $(CREATED_BY)' |
        awk '$2 == "Debian" && $3 == "main" && $4 ~ /^bookworm/ && $5 == "Packages" { print $1, $4 }' | sort -u |
        while read -r uri codename; do
            if [ "$ROOT_SUITE" = bookworm ]; then
                printf 'deb [signed-by=%s] %s %s main\n' "$signed" "$uri" "$codename"
            elif [ "$codename" = bookworm ]; then
                printf 'deb [signed-by=%s] %s %s main\n' "$signed" "$uri" "$ROOT_SUITE"
            fi
        done
}

# The machine's apt options that decide whether a download works (proxies, validity checks), as an apt.conf.
root_apt_options() {
    apt-config dump | grep -E '^Acquire::(https?::|Check-Valid-Until|Check-Date|Retries|ForceIPv4)' || true
    printf '%s\n' 'APT::Sandbox::User "root";' 'APT::Install-Recommends "false";' 'Acquire::Languages "none";' \
        'Binary::apt-get::APT::Keep-Downloaded-Packages "true";' 'APT::Keep-Downloaded-Packages "true";' 'Dpkg::Use-Pty "0";'
}

root_hash() { sha256sum | cut -c1-16; }

# Names of packages that the suite has, by a pattern. The machine's own apt knows no suite but bookworm.
root_search() {
    local pattern=$1 state=$ROOT_CACHE/lists.$ROOT_SUITE apt_options=()
    # A bare machine has no lists, or old ones that name kernels which the archive no longer has.
    apt-get -q update </dev/null >&2 || true
    if [ "$ROOT_SUITE" != bookworm ]; then
        mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
        root_sources /usr/share/keyrings/debian-archive-keyring.gpg >"$state/sources.list"
        apt_options=(-o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$state"
            -o "Dir::Cache=$state/cache" -o Dir::State::status=/dev/null)
        apt-get -q "${apt_options[@]}" update </dev/null >&2 || return 1
    fi
    apt-cache ${apt_options[@]+"${apt_options[@]}"} search --names-only "$pattern" | cut -d' ' -f1
}

root_kernels() {
    local list=$ROOT_CACHE/kernels.$ROOT_SUITE
    mkdir -p "$ROOT_CACHE"
    # Scripts run side by side, and apt does not wait for another that fetches the same lists.
    (
        flock 6
        [ -s "$list" ] || root_find_kernels "$list"
    ) 6>"$list.lock" || exit 1
    tail -n "${1:-2}" "$list"
}

root_find_kernels() {
    local list=$1 version='[0-9.]+\+deb[0-9]+' found
    [ "$ROOT_SUITE" != bookworm ] || version='6\.1\.0-[0-9]+'
    found=$(root_search "^linux-headers-$version(-cloud)?-amd64\$" | sed 's/^linux-headers-//' | sort -V)
    { grep cloud <<<"$found" | tail -n 1; grep -v cloud <<<"$found"; } | tail -n 2 >"$list.new"
    [ "$(wc -l <"$list.new")" = 2 ] || root_die "$ROOT_SUITE does not offer headers for two kernels (run apt-get update?)"
    mv "$list.new" "$list"
}

# Everything below runs with the lock on the cache held.
root_locked() {
    local status
    mkdir -p "$ROOT_CACHE" "$ROOT_APT_CACHE/partial"
    exec 8>"$ROOT_CACHE/.lock"
    flock 8
    "$@" 8>&-
    status=$?
    exec 8>&-
    return $status
}

root_build_base() {
    local dir=$1 kernel packages=() work=$1.new.$$ keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v mmdebstrap >/dev/null || root_die 'mmdebstrap is not installed'
    printf 'root.sh: building the base root (once) in %s\n' "$dir" >&2
    if [ "$ROOT_KERNELS" = yes ]; then
        for kernel in $(root_kernels 2); do packages+=("linux-headers-$kernel"); done
        packages+=("linux-image-$(root_kernels 2 | head -n 1)")
    fi
    rm -rf "$work"
    root_apt_options >"$work.conf"
    root_sources "$keyring" | mmdebstrap --quiet --mode=root --variant=minbase --format=directory \
        --aptopt="$work.conf" --include=debian-archive-keyring,ca-certificates "$ROOT_SUITE" "$work" - >&2 || return 1
    rm -f "$work.conf" "$work/etc/apt/sources.list.d/"* "$work/etc/apt/apt.conf.d/99mmdebstrap"
    root_configure "$work"
    root_with_mounts "$work" root_apt_plain "$work" update >&2 || return 1
    root_with_mounts "$work" root_apt_plain "$work" install "${ROOT_BASE_PACKAGES[@]}" ${packages[@]+"${packages[@]}"} >&2 || return 1
    mv "$work" "$dir"
}

root_configure() {
    local root=$1
    if [ "$ROOT_SUITE" = bookworm ]; then
        root_sources /usr/share/keyrings/debian-archive-keyring.gpg >"$root/etc/apt/sources.list"
    else
        # As newer suites are installed; see sources.list(5), "deb822-style format".
        rm -f "$root/etc/apt/sources.list"
        root_sources none | while read -r _ _ uri suite _; do
            printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$uri" "$suite" \
                /usr/share/keyrings/debian-archive-keyring.gpg
        done >"$root/etc/apt/sources.list.d/debian.sources"
    fi
    root_apt_options >"$root/etc/apt/apt.conf.d/80tests"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    # initrds are made by every kernel image; the tests want them small and quick
    mkdir -p "$root/etc/initramfs-tools/conf.d"
    printf 'MODULES=list\nCOMPRESS=gzip\n' >"$root/etc/initramfs-tools/conf.d/tests"
}

root_mount() {
    local root=$1
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mkdir -p "$root/var/cache/apt/archives" "$ROOT_APT_CACHE/partial"
    mount --bind "$ROOT_APT_CACHE" "$root/var/cache/apt/archives"
}

root_unmount() { umount --recursive "$1" 2>/dev/null || umount --recursive --lazy "$1" 2>/dev/null || true; }

# For a plain directory: mount, run, unmount, in a namespace of its own, so that an interrupted build leaves no mount behind.
root_with_mounts() {
    local root=$1
    shift
    (
        export ROOT_CACHE ROOT_APT_CACHE ROOT_SUITE
        # shellcheck disable=SC2016 # expanded by the inner shell
        exec unshare --mount --propagation private -- bash -c '. "$1"; shift; root=$1; shift
            mount --bind "$root" "$root"; root_mount "$root"; "$@"' bash "${BASH_SOURCE[0]}" "$root" "$@"
    )
}

root_chroot_env() {
    printf '%s\0' PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive ${ROOT_EXTRA_ENV[@]+"${ROOT_EXTRA_ENV[@]}"}
}

root_env() { ROOT_EXTRA_ENV=("$@"); }

root_run() {
    local root=$1 environment
    shift
    mapfile -d '' -t environment < <(root_chroot_env)
    env -i "${environment[@]}" chroot "$root" "$@"
}

root_boot() {
    local root=$1 environment
    shift
    mapfile -d '' -t environment < <(root_chroot_env)
    # shellcheck disable=SC2016 # expanded by the inner shell
    env -i "${environment[@]}" unshare --mount --pid --fork --kill-child --root="$root" --mount-proc=/proc -- \
        sh -c '"$@"; exit $?' sh "$@"
}

root_apt_plain() {
    local root=$1
    shift
    exec 7>"$ROOT_APT_CACHE.lock"
    flock 7
    root_run "$root" apt-get -y -q -o Dpkg::Options::=--force-confdef "$@" 7>&- 8>&-
    local status=$?
    exec 7>&-
    return $status
}

root_apt() { root_apt_plain "$@"; }

root_base_key() {
    { printf '%s\n' "${ROOT_BASE_PACKAGES[@]}" "$ROOT_KERNELS" "$ROOT_SUITE" && root_kernels 2 && declare -f root_build_base root_configure; } | root_hash
}

root_base_locked() {
    local base layer
    base=$ROOT_CACHE/base-$(root_base_key)
    [ -d "$base" ] || root_build_base "$base" || return 1
    if [ $# = 0 ]; then
        printf '%s\n' "$base"
        return
    fi
    layer=$base.$(printf '%s\n' "$@" | root_hash)
    [ -d "$layer" ] || root_build_layer "$layer" "$base" "$@" || return 1
    printf '%s:%s\n' "$layer" "$base"
}

root_build_layer() {
    local layer=$1 base=$2 work=$1.new.$$
    shift 2
    printf 'root.sh: adding a layer (once) with: %s\n' "$*" >&2
    rm -rf "$work"
    mkdir -p "$work/upper" "$work/work" "$work/merged"
    (
        export ROOT_CACHE ROOT_APT_CACHE ROOT_SUITE
        # shellcheck disable=SC2016 # expanded by the inner shell
        exec unshare --mount --propagation private -- bash -c '. "$1"; base=$2; work=$3; shift 3
            mount -t overlay overlay -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/work" "$work/merged" &&
            root_mount "$work/merged" && root_apt_plain "$work/merged" install "$@"' \
            bash "${BASH_SOURCE[0]}" "$base" "$work" "$@"
    ) >&2 || return 1
    mv "$work/upper" "$layer"
    rm -rf "$work"
}

# shellcheck disable=SC2120 # the packages are optional
root_base() { root_locked root_base_locked "$@"; }

root_copy() {
    local name=$1 lower=${2:-} dir=$ROOT_COPIES/$1
    # shellcheck disable=SC2119 # no package on purpose
    [ -n "$lower" ] || lower=$(root_base) || return 1
    [ ! -e "$dir" ] || root_die "a copy called $name exists"
    [ "${ROOT_OWNER:-}" = $$ ] || root_die 'root_copy needs root_private first'
    mkdir -p "$dir/upper" "$dir/work" "$dir/root"
    mount -t overlay overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/root" || return 1
    root_mount "$dir/root" || return 1
    printf '%s\n' "$dir/root"
}

root_drop() {
    local dir=$ROOT_COPIES/$1
    [ -d "$dir" ] || return 0
    root_unmount "$dir/root"
    mountpoint -q "$dir/root" && root_die "cannot unmount $dir/root"
    rm -rf "$dir"
}

root_clean() {
    local dir
    for dir in "$ROOT_COPIES"/*/; do
        [ -d "$dir" ] && root_drop "$(basename "$dir")"
    done
    rmdir "$ROOT_COPIES" 2>/dev/null || true
}
