#!/bin/bash
# Packages that dkms makes for other machines: made on one, used on others. With and without a compiler, with another kernel,
# under Debian's own dkms, and without any dkms; in upgrades, removals and purges; and by rpm in a database of its own.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
with_kernels=$(root_base lsb-release)
with_debians_dkms=$(root_base dkms)
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
"$ROOT_PROJECT/tests/lib/need" lintian
arch=$(dpkg --print-architecture)
machine=$(uname -m)

# --- the machine that builds
builder=$(root_copy builder "$with_kernels")
system_install_dkms "$builder" >/dev/null
driver() {
    mkdir -p "$1/usr/src/hello-$2"
    cp "$ROOT_PROJECT"/tests/fixtures/hello/* "$1/usr/src/hello-$2/"
    sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$2\"/" "$1/usr/src/hello-$2/dkms.conf"
    sed -i "s/HELLO_VERSION \".*\"/HELLO_VERSION \"$2\"/" "$1/usr/src/hello-$2/hello.c"
}
make_all() {
    driver "$builder" "$1"
    assert_status "hello/$1 is built" 0 root_run "$builder" dkms build "hello/$1" -k "$old_kernel"
    assert_status "mkdeb $1" 0 root_run "$builder" dkms mkdeb "hello/$1"
    assert_status "mkbmdeb $1" 0 root_run "$builder" dkms mkbmdeb "hello/$1"
}
make_all 1.0
make_all 2.0
made=$builder/var/lib/dkms/hello
deb=$made/1.0/deb/hello-dkms_1.0_$arch.deb
modules_deb=$made/1.0/bmdeb/hello-modules-${old_kernel}_1.0_$arch.deb
for file in "$deb" "$modules_deb"; do
    lint=$(lintian --allow-root --no-cfg --fail-on none "$file" 2>&1 || true)
    assert_equal "lintian finds no error in ${file##*/}" "" "$(grep '^E:' <<<"$lint" || true)"
done

# --- the same inputs in other places and at another time
for place in one two; do
    mkdir -p "$builder/opt/$place/src" "$builder/opt/$place/tree"
    driver "$builder/opt/$place/root" 1.0
    mv "$builder/opt/$place/root/usr/src/hello-1.0" "$builder/opt/$place/src/"
    find "$builder/opt/$place/src" -exec touch -d "$([ $place = one ] && echo 2001-01-01 || echo 2024-06-06)" {} +
    there=(--dkmstree "/opt/$place/tree" --sourcetree "/opt/$place/src")
    assert_status "$place: it is built" 0 root_run "$builder" dkms build hello/1.0 -k "$old_kernel" "${there[@]}"
    for action in mkdeb mkbmdeb mkdsc; do
        assert_status "$place: $action" 0 root_run "$builder" dkms $action hello/1.0 "${there[@]}"
    done
done
made_in() { (cd "$builder/opt/$1/tree/hello/1.0" && find deb bmdeb dsc "$old_kernel" -type f ! -name '.dkms*' ! -name '*.log' -exec sha256sum {} + | sort); }
assert_match "there are packages and a module" 'hello\.ko' "$(made_in one)"
assert_equal "modules and packages are the same, bit for bit" "$(made_in one)" "$(made_in two)"

# --- a machine with the kernel, and neither headers nor compiler
without_compiler() {
    local root
    root=$(system_root "$1")
    system_apt "$root" install "linux-image-$old_kernel" >/dev/null
    rm -f "$root"/usr/bin/{make,cc,gcc,gcc-12,c99,x86_64-linux-gnu-gcc*,cpp*}
    echo "$root"
}
client=$(without_compiler client)
system_install_dkms "$client" >/dev/null
cp "$deb" "$made/2.0/deb/hello-dkms_2.0_$arch.deb" "$client/root/"
assert_status "no compiler: apt installs the package" 0 system_apt "$client" install "/root/hello-dkms_1.0_$arch.deb"
assert_equal "no compiler: what was built is used" "hello/1.0, $old_kernel, $machine: installed" "$(system_status "$client")"
assert_match "no compiler: modules.dep knows it" '^updates/dkms/hello\.ko' "$(<"$client/lib/modules/$old_kernel/modules.dep")"
assert_status "no compiler: the next boot is complete" 0 root_run "$client" dkms check -k "$old_kernel"
assert_status "no compiler: apt upgrades" 0 system_apt "$client" install "/root/hello-dkms_2.0_$arch.deb"
assert_equal "no compiler: the new version is used" "hello/2.0, $old_kernel, $machine: installed" "$(system_status "$client")"
assert_equal "no compiler: the old source is gone" "hello-2.0" "$(cd "$client/usr/src" && ls -d hello-*)"
assert_status "no compiler: apt removes" 0 system_apt "$client" remove hello-dkms
assert_equal "no compiler: nothing is installed" "" "$(system_status "$client")"
assert_status "no compiler: dpkg purges" 0 root_run "$client" dpkg --purge hello-dkms
assert_equal "no compiler: nothing is left" "" \
    "$(find "$client/usr/src" "$client/var/lib/dkms" "$client/usr/share" "$client/lib/modules" -name '*hello*')"
root_drop client

# --- a machine with another kernel and its headers
other=$(root_copy other "$with_kernels")
rm -rf "$other/lib/modules/$old_kernel" "$other/usr/src/linux-headers-$old_kernel"
mkdir -p "$other/lib/modules/$new_kernel"
system_install_dkms "$other" >/dev/null
cp "$deb" "$other/root/"
log=$(system_apt "$other" install "/root/hello-dkms_1.0_$arch.deb") || true
assert_match "another kernel: it is compiled" 'Building module' "$log"
assert_match "another kernel: it is installed" "^hello/1\.0, $(regex "$new_kernel"), $machine: installed\$" "$(system_status "$other")"

# --- an upgrade to a version that does not compile
driver "$builder" 3.0
echo '#error not yet' >>"$builder/usr/src/hello-3.0/hello.c"
root_run "$builder" dkms add hello/3.0 >/dev/null
assert_status "mkdeb of what does not compile" 0 root_run "$builder" dkms mkdeb hello/3.0 --source-only
find "$made/3.0/deb" -name 'hello-dkms_3.0_*.deb' -exec cp {} "$other/root/hello-dkms_3.0.deb" \;
root_run "$builder" dkms remove hello/3.0 --all >/dev/null
rm -r "$builder/usr/src/hello-3.0"
log=$(system_apt "$other" install /root/hello-dkms_3.0.deb) && status=0 || status=$?
assert_equal "bad upgrade: apt succeeds" 0 "$status"
assert_match "bad upgrade: the version before stays in use" 'hello/1\.0, which it replaced, stays in use there' "$log"
assert_equal "bad upgrade: it is installed" "hello/1.0, $new_kernel, $machine: installed
hello/3.0: added" "$(system_status "$other")"
assert "bad upgrade: its module is there" test -f "$(echo "$other/lib/modules/$new_kernel/updates/dkms"/hello.ko*)"
assert_equal "bad upgrade: its source is gone, and the copy is used" hello-3.0 "$(cd "$other/usr/src" && ls -d hello-*)"
assert_status "bad upgrade: the tree is whole" 0 root_run "$other" dkms fsck
assert_status "bad upgrade: apt purges" 0 system_apt "$other" purge hello-dkms
assert_equal "bad upgrade: nothing is left" "" \
    "$(find "$other/usr/src" "$other/var/lib/dkms" "$other/lib/modules" -name '*hello*')"
root_drop other

# --- Debian's own dkms
debians=$(root_copy debians "$with_debians_dkms")
cp "$deb" "$debians/root/"
assert_status "Debian's dkms: apt installs the package" 0 system_apt "$debians" install "/root/hello-dkms_1.0_$arch.deb"
assert_match "Debian's dkms: what was built is used" "^hello/1\.0, $(regex "$old_kernel"), $machine: installed\$" "$(system_status "$debians")"
assert "Debian's dkms: it is the same file" cmp -s \
    "$debians/lib/modules/$old_kernel/updates/dkms"/hello.ko* "$made/1.0/$old_kernel/$machine/module"/hello.ko*
assert_match "Debian's dkms: the other kernel is compiled for" "^hello/1\.0, $(regex "$new_kernel"), $machine: installed\$" "$(system_status "$debians")"
assert_status "Debian's dkms: apt purges" 0 system_apt "$debians" purge hello-dkms
assert_equal "Debian's dkms: nothing is left" "" "$(find "$debians/usr/src" "$debians/var/lib/dkms" "$debians/lib/modules" -name '*hello*')"
root_drop debians

# --- a machine with the kernel and nothing else
bare=$(without_compiler bare)
cp "$modules_deb" "$made/2.0/bmdeb/hello-modules-${old_kernel}_2.0_$arch.deb" "$bare/root/"
assert_status "no dkms: apt installs the modules" 0 system_apt "$bare" install "/root/hello-modules-${old_kernel}_1.0_$arch.deb"
assert_match "no dkms: modules.dep knows them" '^updates/dkms/hello\.ko' "$(<"$bare/lib/modules/$old_kernel/modules.dep")"
assert_no_match "no dkms: there is none" '^ii  dkms' "$(root_run "$bare" dpkg -l)"
assert_status "no dkms: apt upgrades" 0 system_apt "$bare" install "/root/hello-modules-${old_kernel}_2.0_$arch.deb"
assert_equal "no dkms: the new version is there" 2.0 "$(root_run "$bare" modinfo -k "$old_kernel" -F version hello)"
assert_status "no dkms: apt purges" 0 system_apt "$bare" purge "hello-modules-$old_kernel"
assert_no_match "no dkms: modules.dep has forgotten them" hello "$(<"$bare/lib/modules/$old_kernel/modules.dep")"
assert_equal "no dkms: nothing is left" "" "$(find "$bare/lib/modules" -name '*hello*')"
assert_status "no dkms: the kernel can go with them" 0 system_apt "$bare" purge "linux-image-$old_kernel"
root_drop bare

# --- a source package, made into a package by debhelper
system_apt "$builder" install --no-install-recommends debhelper dh-dkms rpm fakeroot >/dev/null
assert_status "mkdsc" 0 root_run "$builder" dkms mkdsc hello/1.0
# shellcheck disable=SC2016 # expanded inside
build_source='cd /root && dpkg-source -x --no-check /var/lib/dkms/hello/1.0/dsc/hello-dkms_1.0.dsc s && cd s && dpkg-buildpackage -b -us -uc'
assert_status "dpkg-buildpackage makes a package of it" 0 root_run "$builder" bash -c "$build_source"
contents=$(root_run "$builder" dpkg-deb --contents /root/hello-dkms_1.0_all.deb)
assert_match "it has the source" './usr/src/hello-1\.0/hello\.c' "$contents"
assert_match "its postinst calls us" 'common\.postinst' "$(root_run "$builder" dpkg-deb --info /root/hello-dkms_1.0_all.deb postinst)"

# --- rpm
for version in 1.0 2.0; do
    assert_status "mkrpm $version" 0 root_run "$builder" dkms mkrpm "hello/$version"
done
cp "$made"/*/rpm/*.rpm "$builder/root/"
assert_equal "mkrpm makes both packages" "hello-1.0-1dkms.noarch.rpm kmod-hello-$old_kernel-1.0-1dkms.$machine.rpm" \
    "$(find "$made/1.0/rpm" -type f -printf '%f\n' | LC_ALL=C sort | paste -sd' ')"
root_run "$builder" dkms remove hello/1.0 --all >/dev/null
root_run "$builder" dkms remove hello/2.0 --all >/dev/null
rm -r "$builder"/usr/src/hello-*
rpm_in() { root_run "$builder" rpm --nodeps "$@" 2>&1; }
assert_status "rpm installs the source" 0 rpm_in -i /root/hello-1.0-1dkms.noarch.rpm
assert_match "rpm: it is built and installed" "^hello/1\.0, .*: installed\$" "$(system_status "$builder")"
# In an upgrade the new package's %post runs before the old one's %preun.
assert_status "rpm upgrades" 0 rpm_in -U /root/hello-2.0-1dkms.noarch.rpm
assert_match "rpm: the new version is installed" "^hello/2\.0, .*: installed\$" "$(system_status "$builder")"
assert_no_match "rpm: the old one is not in the tree" 'hello/1\.0' "$(system_status "$builder")"
assert_status "rpm installs the same again" 0 rpm_in -U --force /root/hello-2.0-1dkms.noarch.rpm
assert_match "rpm: it is installed all the same" "^hello/2\.0, .*: installed\$" "$(system_status "$builder")"
assert_status "rpm erases it" 0 rpm_in -e hello
assert_equal "rpm: nothing is in the tree" "" "$(system_status "$builder")"
assert_equal "rpm: no source is left" "" "$(find "$builder/usr/src" -name 'hello-*')"
assert_status "rpm installs the modules" 0 rpm_in -i "/root/kmod-hello-$old_kernel-1.0-1dkms.$machine.rpm"
assert_match "rpm: modules.dep knows them" '^updates/dkms/hello\.ko' "$(<"$builder/lib/modules/$old_kernel/modules.dep")"
assert_status "rpm upgrades the modules" 0 rpm_in -U "/root/kmod-hello-$old_kernel-2.0-1dkms.$machine.rpm"
assert_equal "rpm: the new ones are there" 2.0 "$(root_run "$builder" modinfo -k "$old_kernel" -F version hello)"
assert_status "rpm erases the modules" 0 rpm_in -e "kmod-hello-$old_kernel"
assert_no_match "rpm: modules.dep has forgotten them" hello "$(<"$builder/lib/modules/$old_kernel/modules.dep")"

assert_done
