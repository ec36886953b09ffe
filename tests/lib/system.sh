# shellcheck shell=bash
# What the system tests share: roots in which kernels arrive, our package, and a depmod that is counted. Source after root.sh
# and assert.sh.
#
# DKMS_DEB is the package under test. With DKMS_STANDIN=1 Debian's own package dkms is used in its place, to try the tests
# themselves: assertions about what only ours does then fail.
#
#   old_kernel, new_kernel          two releases that apt offers; DKMS_TEST_SUITE names the suite of Debian
#   system_root NAME PACKAGE...     a copy of the base without kernels, plus PACKAGES (cached); prints its directory
#   system_install_dkms ROOT        install the package under test by apt
#   system_apt ROOT ARGS...         apt-get -y as a user has it: recommended packages as the base says, no options for dpkg, and
#                                   no standard input; everything to stdout, and kept in ROOT/var/log/system-test.log
#   system_apt_with VAR=VALUE ROOT ARGS...  the same with a variable set
#   system_count_depmod ROOT        put a counter in front of depmod
#   system_depmods ROOT             print "CALLER: ARGUMENTS" for each depmod since the last call, and forget them
#   system_status ROOT [ARGS...]    `dkms status`, sorted

export ROOT_KERNELS=no

system_kernels=$(root_kernels 2)
old_kernel=$(head -n 1 <<<"$system_kernels")
new_kernel=$(tail -n 1 <<<"$system_kernels")
export old_kernel new_kernel

system_root() {
    local name=$1 lower
    shift
    lower=$(root_base "$@")
    root_copy "$name" "$lower"
}

system_apt() { system_apt_with LC_ALL=C.UTF-8 "$@"; }

system_apt_with() {
    local variable=$1 root=$2 status=0
    shift 2
    flock "$ROOT_APT_CACHE.lock" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive "$variable" chroot "$root" apt-get -y -q "$@" <&- >"$root/tmp/apt.out" 2>&1 || status=$?
    cat "$root/tmp/apt.out" >>"$root/var/log/system-test.log"
    cat "$root/tmp/apt.out"
    return $status
}

# The same on a terminal of 100 columns, with apt's progress bar; prints every byte that the terminal gets.
system_apt_on_terminal() {
    local root=$1 words
    shift
    words=$(printf '%q ' chroot "$root" apt-get -y -o Dpkg::Progress-Fancy=1 "$@")
    flock "$ROOT_APT_CACHE.lock" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=xterm LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive script -qec "stty rows 24 cols 100; $words" /dev/null <&-
}

system_install_dkms() {
    local root=$1
    if [ -n "${DKMS_STANDIN:-}" ]; then
        system_apt "$root" install dkms
    else
        cp "$DKMS_DEB" "$root/tmp/dkms-rs.deb"
        system_apt "$root" install /tmp/dkms-rs.deb
    fi
}

# The caller of depmod is named by the nearest ancestor that says something: one of our programs, or the initramfs tools.
system_count_depmod() {
    local root=$1
    rm "$root/usr/sbin/depmod"
    cat >"$root/usr/sbin/depmod" <<'WRAPPER'
#!/bin/bash
caller=other
process=$PPID
while [ "${process:-0}" -gt 1 ]; do
    read -r name <"/proc/$process/comm" || break
    case $name in
        mkinitramfs | update-initramf*) caller=initramfs; break ;;
        dkms* | kernel-post* | kernel-pre* | header-post* | common.post*) caller=dkms; break ;;
    esac
    process=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$process/status")
done
echo "$caller: $*" >>/var/log/depmod-calls
exec -a depmod /bin/kmod "$@"
WRAPPER
    chmod 755 "$root/usr/sbin/depmod"
    : >"$root/var/log/depmod-calls"
}

system_depmods() {
    cat "$1/var/log/depmod-calls"
    : >"$1/var/log/depmod-calls"
}

system_status() {
    local root=$1
    shift
    root_run "$root" dkms status "$@" </dev/null | LC_ALL=C sort
}
