# shellcheck shell=bash
# The two sides of a comparison: a root with the packaged dkms, and one with ours that never saw it. Source root.sh first.
#
#   DKMS_BIN=path        our program (default target/release/dkms); "packaged" puts the packaged one on both sides, which
#                        tests the comparison itself
#   DKMS_DEB=path        install this .deb on our side instead
#   side_check           end with a message when there is nothing to compare
#   side_base packaged|ours  print the base (a "lower" specification) of a side; lsb-release is in both, for the packaged
#                        program needs it wherever it is tried
#   side_lower packaged|ours [LAYER]  the same with the program installed; LAYER is a further layer on top of it
#   side_program LOWER   print the path of the program in a side

DKMS_BIN=${DKMS_BIN:-$ROOT_PROJECT/target/release/dkms}
DKMS_DEB=${DKMS_DEB:-}

side_same() { [ "$DKMS_BIN" = packaged ] && [ -z "$DKMS_DEB" ]; }

side_check() {
    [ -n "$DKMS_DEB" ] || side_same || [ -x "$DKMS_BIN" ] || root_die "no program at $DKMS_BIN (build it, or set DKMS_BIN)"
}

side_base() {
    if [ "$1" = packaged ] || side_same; then root_base dkms; else root_base lsb-release; fi
}

side_lower() {
    local name=$1 layer=${2:-} base ours root
    base=$(side_base "$name") || return 1
    ours=$ROOT_COPIES/ours-program
    if [ "$name" = ours ] && ! side_same; then
        if [ -n "$DKMS_DEB" ]; then
            if [ ! -d "$ours" ]; then
                root=$(root_copy ours-program "$base") || return 1
                cp "$DKMS_DEB" "$root/root/dkms.deb"
                root_run "$root" dpkg -i --force-depends /root/dkms.deb >&2 || root_die "dpkg -i $DKMS_DEB failed"
                root_unmount "$root"
            fi
            base=$ours/upper:$base
        else
            mkdir -p "$ours/upper/usr/sbin" "$ours/upper/var/lib/dkms" "$ours/upper/etc/dkms/framework.conf.d" "$ours/root"
            install -m 755 "$DKMS_BIN" "$ours/upper/usr/sbin/dkms"
            install -D -m 755 "$(dirname "$DKMS_BIN")/dkms-cc" "$ours/upper/usr/lib/dkms/dkms-cc"
            base=$ours/upper:$base
        fi
    fi
    printf '%s\n' "${layer:+$layer:}$base"
}

side_program() {
    local layer
    tr : '\n' <<<"$1" | while read -r layer; do
        [ ! -f "$layer/usr/sbin/dkms" ] || { echo "$layer/usr/sbin/dkms" && break; }
    done
}
