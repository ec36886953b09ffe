#!/bin/bash
# The Arch package: made by makepkg of programs that are built already, and installed by pacman into a throw-away root, where
# its hooks meet kernels and drivers as pacman brings and takes them.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
top=$ROOT_PROJECT
"$top/tests/lib/need" makepkg pacman-package-manager fakeroot libarchive-tools zstd mmdebstrap debian-archive-keyring
export ROOT_KERNELS=no

work=$(mktemp -d)
trap 'rm -rf "$work"; root_clean' EXIT
version=$(sed -n 's/^pkgver=//p' "$top/packaging/arch/PKGBUILD")

# The programs are those of the Debian package.
dpkg-deb --extract "$DKMS_DEB" "$work/deb"
mkdir "$work/build" "$work/programs"
cp "$work/deb/usr/sbin/dkms" "$work/deb/usr/lib/dkms/dkms-hooks" "$work/deb/usr/lib/dkms/dkms-cc" "$work/programs/"
tar -c -C "$top" --exclude=./target --exclude=./.git --transform "s|^\.|dkms-rs-$version|" . | gzip -1 >"$work/build/dkms-rs-$version.tar.gz"
cp "$top/packaging/arch/PKGBUILD" "$work/build/"
# makepkg refuses to be root.
chmod 755 "$work"
chown -R nobody "$work/build"
made() {
    (cd "$work/build" && setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME="$work/build" PKGEXT=.pkg.tar.zst \
        DKMS_PROGRAMS="$work/programs" makepkg --nodeps --nocheck --log)
}
assert_status "makepkg makes the package" 0 made
package=$(find "$work/build" -name "dkms-rs-$version-*.pkg.tar.zst")
files=$(bsdtar -tf "$package")
for file in usr/bin/dkms usr/lib/dkms/initramfs-modules usr/share/libalpm/scripts/dkms usr/share/libalpm/hooks/70-dkms-install.hook \
    usr/share/libalpm/hooks/70-dkms-upgrade.hook usr/share/libalpm/hooks/71-dkms-remove.hook etc/dkms/framework.conf \
    usr/share/zsh/site-functions/_dkms; do
    assert_match "it has $file" "^$file\$" "$files"
done
assert_match "it has the man page" '^usr/share/man/man8/dkms\.8(\.gz)?$' "$files"
assert_no_match "nothing is in /usr/sbin, which is no directory there" '^usr/sbin/|^sbin/' "$files"
assert_no_match "nothing is for another distribution" '^etc/kernel/|initramfs-tools' "$files"
info=$(bsdtar -xOf "$package" .PKGINFO)
assert_match "it provides dkms" '^provides = dkms=3\.4\.3$' "$info"
assert_match "it conflicts with dkms" '^conflict = dkms$' "$info"
assert_match "framework.conf is kept when it is edited" '^backup = etc/dkms/framework\.conf$' "$info"

# packed NAME VERSION: makes a package of the directory $work/NAME.
packed() {
    printf 'pkgname = %s\npkgver = %s\narch = any\nsize = 1\n' "$1" "$2" >"$work/$1/.PKGINFO"
    bsdtar -c --zstd -f "$work/$1-$2.pkg.tar.zst" -C "$work/$1" --strip-components 0 .PKGINFO usr
    echo "$work/$1-$2.pkg.tar.zst"
}
kernel() {
    rm -rf "$work/linux"
    mkdir -p "$work/linux/usr/lib/modules/$1/build/include"
    touch "$work/linux/usr/lib/modules/$1/modules."{order,builtin,dep}
    packed linux "${1%%-*}-1"
}
driver() {
    rm -rf "$work/hello-dkms"
    mkdir -p "$work/hello-dkms/usr/src/hello-$1"
    echo 'int hello;' >"$work/hello-dkms/usr/src/hello-$1/hello.c"
    printf '%s\n' PACKAGE_NAME=hello "PACKAGE_VERSION=$1" "MAKE=\"'gcc' -c hello.c -o hello.ko\"" AUTOINSTALL=yes \
        BUILT_MODULE_NAME=hello DEST_MODULE_LOCATION=/updates >"$work/hello-dkms/usr/src/hello-$1/dkms.conf"
    packed hello-dkms "$1-1"
}

lower=$(root_base)
root=$(root_copy arch "$lower")
printf 'ID=arch\n' >"$work/os-release"
rm "$root/etc/os-release"
cp "$work/os-release" "$root/etc/os-release"
mkdir -p "$root/var/lib/pacman"
pac() {
    pacman --root "$root" --dbpath "$root/var/lib/pacman" --config /dev/null --noconfirm --noprogressbar "$@"
}
status() { root_run "$root" dkms status | LC_ALL=C sort; }

assert_status "pacman installs the package" 0 pac -U -dd "$package"
assert_status "a kernel comes" 0 pac -U "$(kernel 6.1.1-arch1-1)"
assert_status "a driver comes" 0 pac -U "$(driver 1.0)"
assert_equal "the driver is installed for the kernel" "hello/1.0, 6.1.1-arch1-1, $(uname -m): installed" "$(status)"
assert "its module is where Arch has it" test -f "$root/usr/lib/modules/6.1.1-arch1-1/updates/dkms/hello.ko"
assert_status "the kernel is replaced by a newer one" 0 pac -U "$(kernel 6.1.2-arch1-1)"
assert_equal "the driver is installed for the new one, and for it alone" \
    "hello/1.0, 6.1.2-arch1-1, $(uname -m): installed" "$(status)"
refute "nothing of the old kernel is left" test -e "$root/usr/lib/modules/6.1.1-arch1-1/updates"
touch "$work/before"
assert_status "the same kernel comes again" 0 pac -U "$(kernel 6.1.2-arch1-1)"
assert_equal "the driver is installed for it" "hello/1.0, 6.1.2-arch1-1, $(uname -m): installed" "$(status)"
assert "it was built again" test "$root/usr/lib/modules/6.1.2-arch1-1/updates/dkms/hello.ko" -nt "$work/before"
assert_status "the driver is replaced by a newer one" 0 pac -U "$(driver 2.0)"
assert_equal "the newer driver is installed" "hello/2.0, 6.1.2-arch1-1, $(uname -m): installed" "$(status)"
assert_status "the driver goes" 0 pac -R hello-dkms
assert_equal "nothing is left of it" "" "$(status)"
refute "its module is gone" test -e "$root/usr/lib/modules/6.1.2-arch1-1/updates"

# Before a kernel comes: with pacman inside of the root, as on a machine.
root=$(root_copy arch-preflight "$(root_base pacman-package-manager)")
rm "$root/etc/os-release"
cp "$work/os-release" "$root/etc/os-release"
root_run "$root" useradd --system --no-create-home --home-dir /nonexistent dkms-build
mkdir -p "$root/packages"
image() {
    rm -rf "$work/linux"
    mkdir -p "$work/linux/usr/lib/modules/$1"
    touch "$work/linux/usr/lib/modules/$1/modules."{order,builtin,dep}
    packed linux "${1%%-*}-1"
}
headers() {
    rm -rf "$work/linux-headers"
    mkdir -p "$work/linux-headers/usr/lib/modules/$1/build/include/generated"
    echo "#define UTS_RELEASE \"$1\"" >"$work/linux-headers/usr/lib/modules/$1/build/include/generated/utsrelease.h"
    packed linux-headers "${1%%-*}-1"
}
inside() {
    local file names=()
    for file in "$@"; do
        cp "$file" "$root/packages/"
        names+=("/packages/${file##*/}")
    done
    root_run "$root" pacman --config /dev/null --noconfirm --noprogressbar -U -dd "${names[@]}"
}
assert_status "pacman of the root installs the package" 0 inside "$package"
assert_status "a kernel comes with its headers" 0 inside "$(image 6.1.1-arch1-1)" "$(headers 6.1.1-arch1-1)"
made=$(driver 1.0)
sed -i "s/^MAKE=.*/MAKE=\"test \$kernelver = 6.1.1-arch1-1 \&\& 'gcc' -c hello.c -o hello.ko\"/" "$work/hello-dkms/usr/src/hello-1.0/dkms.conf"
made=$(packed hello-dkms 1.0-1)
assert_status "a driver comes" 0 inside "$made"
assert_match "it is installed" '^hello/1\.0, 6\.1\.1-arch1-1, .*: installed$' "$(status)"
echo 'preflight="require"' >"$root/etc/dkms/framework.conf.d/preflight.conf"
echo 'required="yes"' >"$root/etc/dkms/hello.conf"
next=("$(image 6.1.2-arch1-1)" "$(headers 6.1.2-arch1-1)")
assert_status "pacman stops before a kernel on which it does not build" 1 inside "${next[@]}"
stopped=$(inside "${next[@]}" 2>&1 || true)
assert_match "it says why" 'Nothing is installed, because kernel 6\.1\.2-arch1-1 would not have hello/1\.0' "$stopped"
assert_equal "nothing has changed" "linux 6.1.1-1" "$(root_run "$root" pacman --config /dev/null -Q linux)"
root_env DKMS_PREFLIGHT=report
assert_status "with the override it goes on" 0 inside "${next[@]}"
assert_equal "the kernel is there" "linux 6.1.2-1" "$(root_run "$root" pacman --config /dev/null -Q linux)"

assert_done
