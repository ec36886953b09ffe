#!/bin/bash
# dnf5 with its actions plugin, as Debian unstable has them, before and while a kernel comes. By hand, because unstable is another
# one every day: tests/system/run unstable/dnf5
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../../lib/root.sh
. "$(dirname "$0")/../../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../../lib/assert.sh
. "$(dirname "$0")/../../lib/assert.sh"
"$ROOT_PROJECT/tests/lib/need" rpm createrepo-c mmdebstrap debian-archive-keyring
export ROOT_KERNELS=no ROOT_SUITE=unstable

work=$(mktemp -d)
trap 'rm -rf "$work"; root_clean' EXIT
lower=$(root_base dnf5 rpm rpm2cpio)
root=$(root_copy dnf5 "$lower")
dpkg-deb --extract "$DKMS_DEB" "$work/deb"
cp -a "$work/deb/usr" "$work/deb/etc" "$root/"
root_run "$root" useradd --system --no-create-home --home-dir /nonexistent dkms-build
mkdir -p "$root/var/lib/dkms" "$root/repo" "$root/etc/yum.repos.d" "$root/etc/dnf/libdnf5-plugins/actions.d"
cp "$ROOT_PROJECT/packaging/dnf5/dkms.actions" "$root/etc/dnf/libdnf5-plugins/actions.d/"
# It makes a repository of what was installed, with a program that is not here.
printf '[main]\nname = local\nenabled = 0\n' >"$root/etc/dnf/libdnf5-plugins/local.conf"
printf '[updates]\nname=updates\nbaseurl=file:///repo\ngpgcheck=0\n' >"$root/etc/yum.repos.d/updates.repo"

# kernel VERSION: packages as Fedora divides a kernel.
kernel() {
    cat >"$work/kernel.spec" <<SPEC
Name: kernel
Version: $1
Release: 200.fc40
Summary: Kernel
License: GPL
%description
Kernel.
%package core
Summary: Image
Provides: installonlypkg(kernel)
%description core
Image.
%package devel
Summary: Headers
Provides: installonlypkg(kernel)
%description devel
Headers.
%install
k=$1-200.fc40.%{_target_cpu}
mkdir -p %{buildroot}/usr/lib/modules/\$k %{buildroot}/usr/src/kernels/\$k/include/generated
for file in vmlinuz modules.order modules.builtin; do touch %{buildroot}/usr/lib/modules/\$k/\$file; done
echo CONFIG_MODULES=y >%{buildroot}/usr/src/kernels/\$k/.config
touch %{buildroot}/usr/src/kernels/\$k/Module.symvers
echo "#define UTS_RELEASE \\"\$k\\"" >%{buildroot}/usr/src/kernels/\$k/include/generated/utsrelease.h
ln -s ../../../src/kernels/\$k %{buildroot}/usr/lib/modules/\$k/build
%files core
/usr/lib/modules/*
%files devel
/usr/src/kernels
SPEC
    rpmbuild -bb --quiet --nodeps --define "_topdir $work" "$work/kernel.spec"
    find "$work/RPMS" -name "kernel-*-$1-*.rpm" -exec cp -t "$root/repo" {} +
    createrepo_c --quiet "$root/repo"
}
dnf() { root_run "$root" dnf5 -y --refresh "$@" 2>&1; }

old=6.9.4-200.fc40.x86_64
new=6.9.5-200.fc40.x86_64
kernel 6.9.4
assert_status "a kernel comes" 0 dnf install kernel-core kernel-devel
mkdir -p "$root/usr/src/hello-1.0"
echo 'int hello;' >"$root/usr/src/hello-1.0/hello.c"
printf '%s\n' PACKAGE_NAME=hello PACKAGE_VERSION=1.0 "MAKE=\"./build.sh\"" AUTOINSTALL=yes BUILT_MODULE_NAME=hello \
    >"$root/usr/src/hello-1.0/dkms.conf"
# shellcheck disable=SC2016 # the script's own variable
printf '#!/bin/sh\ntest "$kernelver" = %s && gcc -c hello.c -o hello.ko\n' "$old" >"$root/usr/src/hello-1.0/build.sh"
chmod 755 "$root/usr/src/hello-1.0/build.sh"
echo 'required="yes"' >"$root/etc/dkms/hello.conf"
assert_status "a driver is installed for it" 0 root_run "$root" dkms install hello/1.0 -k "$old"

kernel 6.9.5
echo 'preflight="require"' >"$root/etc/dkms/framework.conf.d/preflight.conf"
stopped=$(dnf upgrade) && status=0 || status=$?
assert_equal "dnf stops before a kernel on which the driver does not build" 1 "$status"
assert_match "it says why" "Nothing is installed, because kernel $new would not have hello/1\\.0" "$stopped"
assert_match "and what can be done" "Hold the kernel: dnf upgrade --exclude='kernel\\*'; or install it all the same, once: DKMS_PREFLIGHT=report" "$stopped"
refute "nothing is installed" root_run "$root" rpm -q kernel-core-6.9.5
refute "its headers are not there" test -e "$root/usr/src/kernels/$new"
held=$(dnf upgrade "--exclude=kernel*") && status=0 || status=$?
assert_equal "it goes on without the kernel" 0 "$status"
reached=$(root_run "$root" sh -c 'cd /repo && exec dnf5 -y install ./kernel-core-6.9.5*.rpm ./kernel-devel-6.9.5*.rpm' 2>&1) && status=0 || status=$?
assert_equal "packages that are named are looked into as well" 1 "$status"
assert_match "and named" "kernel $new would not have hello/1\\.0" "$reached"

sed -i 's/^test.*&& //' "$root/usr/src/hello-1.0/build.sh"
passed=$(dnf upgrade) && status=0 || status=$?
assert_equal "dnf goes on where the driver builds" 0 "$status"
assert_no_match "and nothing is said" "would" "$passed"
installed=$(root_run "$root" dkms autoinstall -k "$new" 2>&1)
assert_no_match "the build of before is used" "Building" "$installed"
assert_match "the driver is installed" "^hello/1\\.0, $new, x86_64: installed\$" "$(root_run "$root" dkms status)"

kernel 6.9.6
rm "$root/usr/src/hello-1.0/build.sh"
root_env DKMS_PREFLIGHT=report
assert_status "the variable lets a kernel pass" 0 dnf upgrade
mv "$root/usr/lib/dkms/dkms-hooks" "$root/usr/lib/dkms/gone"
kernel 6.9.7
assert_status "without dkms its action stops nothing" 0 dnf upgrade

assert_done
