#!/bin/bash
# Kernels that come, come again and go, by real apt: how often modules are built, kernels indexed and images packed. Each as
# seldom as it can be.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

root=$(system_root counts initramfs-tools debconf)
kernel=$old_kernel
assert_status "the package installs by apt" 0 system_install_dkms "$root"

# count NAME FILE: puts a counter in front of a program. A make below another one is no build of its own.
count() {
    mv "$root$2" "$root$2.real"
    # shellcheck disable=SC2016 # for the wrapper
    printf '#!/bin/bash\ntest -n "$MAKELEVEL" || echo "$*" >>/var/log/count/%s\nexec -a "$0" %s.real "$@"\n' "$1" "$2" >"$root$2"
    chmod 755 "$root$2"
}
# Builds run as another user, who may write there.
mkdir -m 777 "$root/var/log/count"
echo 'build_paths="/var/log/count"' >"$root/etc/dkms/framework.conf.d/count.conf"
count make /usr/bin/make
count images /usr/sbin/mkinitramfs
system_count_depmod "$root"
calls() { if [ -e "$root/var/log/count/$1" ]; then cat "$root/var/log/count/$1"; fi; }
# counted KERNEL: builds, our own depmod runs and images for it since the last call.
counted() {
    local builds depmods images
    builds=$(calls make | grep -c "$1" || true)
    depmods=$(system_depmods "$root" | grep -c "^dkms: .*$1" || true)
    images=$(calls images | grep -c "$1" || true)
    rm -f "$root/var/log/count/make" "$root/var/log/count/images"
    echo "$builds $depmods $images"
}
assert_counted() {
    local got raw
    raw=$(calls make; cat "$root/var/log/depmod-calls"; calls images)
    got=$(counted "${3:-$kernel}")
    assert_equal "$1: builds, depmod runs, images" "$2" "$got"
    if [ "$got" != "$2" ]; then printf '    %s\n' "$raw"; fi
}
assert_installed() {
    assert_match "$1: the driver is installed" "^acpi-call/[^,]+, $(regex "$kernel"), x86_64: installed\$" "$(system_status "$root")"
}

assert_status "a driver arrives before any kernel" 0 system_apt "$root" install acpi-call-dkms
counted "$kernel" >/dev/null

assert_status "image and headers in one go" 0 system_apt "$root" install "linux-image-$kernel" "linux-headers-$kernel"
assert_installed "image and headers in one go"
assert_counted "image and headers in one go" "1 1 1"

assert_status "the image comes again" 0 system_apt "$root" install --reinstall "linux-image-$kernel"
assert_installed "the image comes again"
assert_counted "the image comes again" "0 0 1"

assert_status "the headers come again" 0 system_apt "$root" install --reinstall "linux-headers-$kernel"
assert_installed "the headers come again"
assert_counted "the headers come again" "0 0 0"

# Other symbols, as after a rebuild of the kernel under the same name. The package's own file would undo it.
symbols=$root/usr/src/linux-headers-$kernel/Module.symvers
printf '0x00000000\tunused_symbol\tvmlinux\tEXPORT_SYMBOL_GPL\t\n' >>"$symbols"
assert_status "the image comes again, with other headers" 0 system_apt "$root" install --reinstall "linux-image-$kernel"
assert_installed "the image comes again, with other headers"
assert_counted "the image comes again, with other headers" "1 1 1"

assert_status "the kernel goes" 0 system_apt "$root" remove "linux-image-$kernel"
assert_match "the kernel goes: the driver stays added" '^acpi-call/[^,]+: added$' "$(system_status "$root")"
assert_counted "the kernel goes" "0 0 0"
assert_status "the kernel is purged with its headers" 0 system_apt "$root" purge "linux-image-$kernel" "linux-headers-$kernel"
refute "purged: its directory is gone" test -e "$root/lib/modules/$kernel"
counted "$kernel" >/dev/null

assert_status "the image first" 0 system_apt "$root" install "linux-image-$kernel"
assert_counted "the image first" "0 0 1"
assert_status "then the headers" 0 system_apt "$root" install "linux-headers-$kernel"
assert_installed "then the headers"
assert_counted "then the headers, for a driver that no image needs" "1 1 0"

# A package that does not build, in between.
cp -r "$ROOT_PROJECT/tests/fixtures/hello" "$root/usr/src/hello-1.0"
echo '#error it does not compile' >>"$root/usr/src/hello-1.0/hello.c"
assert "a broken package is added" root_run "$root" dkms add hello/1.0
output=$(system_apt "$root" install "linux-image-$new_kernel" "linux-headers-$new_kernel") && status=0 || status=$?
assert_equal "a kernel for which one package fails: apt succeeds" 0 "$status"
assert_equal "a kernel for which one package fails: dpkg is content" "" "$(root_run "$root" dpkg --audit 2>&1)"
assert_match "a kernel for which one package fails: it is reported" 'hello/1\.0 for kernel' "$output"
assert_match "a kernel for which one package fails: the driver is installed" \
    "^acpi-call/[^,]+, $(regex "$new_kernel"), x86_64: installed\$" "$(system_status "$root")"
# Image hook, header hook and the packing of the image all meet the package that fails: it is built once. If apt configures the
# headers first, the image's own depmod is the only one.
assert_match "a kernel for which one package fails: builds, depmod runs, images" '^2 [01] 1$' "$(counted "$new_kernel")"
assert "the broken package goes" root_run "$root" dkms remove hello/1.0 --all

# As unattended-upgrades does it: no terminal, standard input closed, and a frontend that must ask nothing.
for frontend in noninteractive readline teletype; do
    assert "the driver is taken out" root_run "$root" sh -c "dkms status | cut -d, -f1 | sort -u | xargs -rn1 dkms unbuild --all"
    counted "$new_kernel" >/dev/null
    output=$(flock "$ROOT_APT_CACHE.lock" timeout 300 env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=$frontend chroot "$root" apt-get -y -q -o Dpkg::Options::=--force-confdef \
        install --reinstall "linux-image-$new_kernel" <&- 2>&1) && status=0 || status=$?
    assert_equal "frontend $frontend, standard input closed: apt ends well" 0 "$status"
    assert_counted "frontend $frontend" "1 1 1" "$new_kernel"
done

# A full /boot: the image cannot be packed, which is the initramfs tool's failure; nothing of ours is lost.
mount -t tmpfs -o size=64k tmpfs "$root/boot"
echo 'INITRAMFS=yes' >"$root/etc/dkms/acpi-call.conf"
assert "the driver is taken out" root_run "$root" sh -c "dkms status | cut -d, -f1 | sort -u | xargs -rn1 dkms unbuild --all"
: >"$root/boot/initrd.img-$new_kernel"
only_ours=
# shellcheck disable=SC2086 # none or two words
hook() { root_run "$root" env DEB_MAINT_PARAMS=configure run-parts --exit-on-error $only_ours --arg="$new_kernel" "/etc/kernel/$1.d" 2>&1; }
output=$(hook header_postinst) && status=0 || status=$?
assert_equal "a full /boot: the hook succeeds" 0 "$status"
assert_match "a full /boot: it says that the image is the old one" 'is the old one' "$output"
assert_match "a full /boot: the driver is installed" \
    "^acpi-call/[^,]+, $(regex "$new_kernel"), x86_64: installed\$" "$(system_status "$root")"
umount "$root/boot"

# Twice at once: one works, the other waits and finds it done.
assert "the driver is taken out" root_run "$root" sh -c "dkms status | cut -d, -f1 | sort -u | xargs -rn1 dkms unbuild --all"
counted "$new_kernel" >/dev/null
only_ours='--regex ^dkms$'
hook postinst >"$root/tmp/first" &
first=$!
second_output=$(hook postinst) && second=0 || second=$?
wait $first && first=0 || first=$?
assert_equal "the image hook twice at once: both succeed" "0 0" "$first $second"
assert_equal "the image hook twice at once: one build" 1 "$(counted "$new_kernel" | cut -d' ' -f1)"
assert_match "the image hook twice at once: the second names what it waits for" 'Waiting for process' "$second_output$(<"$root/tmp/first")"

assert_done
