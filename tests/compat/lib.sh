# shellcheck shell=sh
# Words for the scenarios. Runs inside a root, with the dkms under test in PATH; every line printed here is compared between
# the two sides, so nothing is printed that may honestly differ (times, wording).
#
#   run CMD...         run it, print "[exit code] CMD"; its output goes to the log only
#   status [ARGS...]   run `dkms status`, print stdout (to the byte) and exit code
#   says TEXT CMD...   run it, print exit code and whether its output holds TEXT
#   differs KEY P O CMD...   run it where a different exit code is meant: P from the packaged one, O from ours
#   meant KEY CMD... run it where a difference is meant that is not an exit code: nothing of it is compared
#   hand_over        from here on the other side's program is called
#   fast NAME VERSION [LINE...]   a package in /usr/src that "builds" by copying a ready module; LINEs are added to dkms.conf
#   real NAME VERSION [LINE...]   the same, built by the kernel's makefiles
#   show [PATH...]     listing of the trees: type, mode, path, link target (default: DKMS tree, /lib/modules/*/updates)
#   K1 K2              the two kernel releases with headers; K1 has an image (and so in-tree modules), K2 has none
#   T                  the DKMS tree

T=/var/lib/dkms
K1=$(echo /lib/modules/* | tr ' ' '\n' | sed 's|.*/||' | sort -V | head -n 1)
K2=$(echo /lib/modules/* | tr ' ' '\n' | sed 's|.*/||' | sort -V | tail -n 1)
A=$(uname -m)
RUNNING=$(uname -r)
export T K1 K2 A RUNNING

# what is printed holds no running kernel: the machine's own is none of the root's
neutral() { sed -e "s|$RUNNING|RUNNING|g"; }

run() {
    code=0
    printf '\n$ %s\n' "$*" >>/compat/log
    "$@" </dev/null >/compat/out 2>&1 || code=$?
    cat /compat/out >>/compat/log
    printf '[%s] %s\n' "$code" "$*" | neutral
}

says() {
    text=$1
    shift
    run "$@"
    if grep -qF -e "$text" /compat/out; then echo "    says: $text"; else echo "    does not say: $text"; fi | neutral
}

status() {
    code=0
    dkms status "$@" </dev/null >/compat/out 2>/compat/err || code=$?
    printf '[%s] dkms status %s\n' "$code" "$*" | neutral
    sed 's/^/    /' /compat/out | neutral
}

reason() {
    grep -q "^- \`$1\`: " /compat/differences || echo "unexpected: no reason for $1 in docs/differences.md"
}

differs() {
    reason "$1"
    key=$1
    if [ "$(cat /compat/side)" = packaged ]; then expected=$2; else expected=$3; fi
    shift 3
    run "$@" >/dev/null
    if [ "$code" = "$expected" ]; then
        echo "    differs as meant: $key"
    else
        echo "unexpected exit code $code instead of $expected: $*"
    fi
}

meant() {
    reason "$1"
    echo "    differs as meant: $1"
    shift
    run "$@" >/dev/null
}

hand_over() {
    # What the removal of our package does before another one takes the tree.
    if [ "$(cat /compat/side)" = ours ] && [ -x /usr/lib/dkms/hand-back ]; then /usr/lib/dkms/hand-back; fi
    mount --bind /compat/other/dkms "$(command -v dkms)"
    if [ "$(cat /compat/side)" = packaged ]; then echo ours >/compat/side; else echo packaged >/compat/side; fi
}

package() {
    mkdir -p "/usr/src/$1-$2"
    cp /compat/fixtures/hello/hello.c /compat/fixtures/hello/Makefile "/usr/src/$1-$2/"
    sed -e "s/^PACKAGE_NAME=.*/PACKAGE_NAME=\"$1\"/" -e "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$2\"/" \
        -e "s/=\"hello\"/=\"$(printf %s "$1" | tr - _)\"/" /compat/fixtures/hello/dkms.conf >"/usr/src/$1-$2/dkms.conf"
}

lines() {
    conf=$1
    shift
    for line in "$@"; do printf '%s\n' "$line" >>"$conf"; done
}

fast() {
    package "$1" "$2"
    base=$(printf %s "$1" | tr - _)
    cp "/compat/ready/$(version_of "$2").ko" "/usr/src/$1-$2/ready.bin"
    printf '%s\n' "MAKE[0]=\"cp ready.bin $base.ko\"" 'CLEAN="true"' >>"/usr/src/$1-$2/dkms.conf"
    conf=/usr/src/$1-$2/dkms.conf
    shift 2
    lines "$conf" "$@"
}

# ready modules exist for the versions 1.0 and 2.0; anything else looks like 1.0
version_of() { case $1 in 2.*) echo 2.0 ;; *) echo 1.0 ;; esac }

real() {
    package "$1" "$2"
    base=$(printf %s "$1" | tr - _)
    if [ "$base" != hello ]; then
        mv "/usr/src/$1-$2/hello.c" "/usr/src/$1-$2/$base.c"
        sed -i "s/hello\.o/$base.o/" "/usr/src/$1-$2/Makefile"
    fi
    conf=/usr/src/$1-$2/dkms.conf
    shift 2
    lines "$conf" "$@"
}

# Left out: keys, records in dot files, what a build leaves beside make.log, and Module.symvers, which 3.4.3 keeps beside the
# modules and 3.0.10 has cleaned away by then.
show() {
    if [ $# = 0 ]; then set -- "$T" /lib/modules/*/updates /lib/modules/*/extra; fi
    for path in "$@"; do
        [ -e "$path" ] || [ -h "$path" ] || continue
        find "$path" -name '.*' -prune -o -path "$T/mok.*" -o -path '*/build/*' ! -name make.log -o -name Module.symvers -o \
            -printf '%y %m %p %l\n' | sed -e 's/^l 777/l/' -e 's/ $//'
    done | LC_ALL=C sort -k 3
}
