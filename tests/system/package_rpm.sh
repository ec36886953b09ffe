#!/bin/bash
# The rpm package: built by rpmbuild of programs that are built already, judged by rpmlint, and installed by rpm in a
# throw-away root in the place of another dkms whose configuration was edited.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
top=$ROOT_PROJECT
"$top/tests/lib/need" rpm rpm2cpio cpio rpmlint mmdebstrap debian-archive-keyring
export ROOT_KERNELS=no

work=$(mktemp -d)
trap 'rm -rf "$work"; root_clean' EXIT
spec=$top/packaging/rpm/dkms-rs.spec
version=$(sed -n 's/^Version: *//p' "$spec")

# The programs are those of the Debian package.
dpkg-deb --extract "$DKMS_DEB" "$work/deb"
mkdir -p "$work/programs" "$work/SOURCES"
cp "$work/deb/usr/sbin/dkms" "$work/deb/usr/lib/dkms/dkms-hooks" "$work/deb/usr/lib/dkms/dkms-cc" "$work/programs/"
tar -c -C "$top" --exclude=./target --exclude=./.git --transform "s|^\.|dkms-rs-$version|" . |
    gzip -1 >"$work/SOURCES/dkms-rs-$version.tar.gz"

# Debian's database of rpm has none of the packages that a build needs.
build() { rpmbuild -bb --quiet --nodeps --define "_topdir $work" "$@"; }
assert_status "rpmbuild makes the package" 0 build --define "programs $work/programs" --define "fedora 40" "$spec"
package=$(find "$work/RPMS" -name "dkms-rs-$version-*.rpm")
lint=$(rpmlint --config "$top/packaging/rpm/rpmlint.toml" "$spec" "$package" 2>&1 || true)
assert_equal "rpmlint finds nothing that is not explained" "" "$(grep -E ': [EW]: ' <<<"$lint" || true)"
assert_match "rpmlint has looked at both" '^ *1 packages and 1 specfiles checked; 0 errors, 0 warnings' "$lint"

files=$(rpm -qlp "$package")
for file in /usr/sbin/dkms /usr/lib/dkms/common.postinst /usr/lib/dkms/initramfs-modules /etc/dkms/framework.conf \
    /etc/dkms/framework.conf.d/dracut.conf /var/lib/dkms /usr/share/zsh/site-functions/_dkms; do
    assert_match "it has $file" "^$file\$" "$files"
done
for page in man8/dkms.8 man5/dkms.conf.5 man7/dkms-hooks.7; do
    assert_match "it has the page ${page#*/}" "^/usr/share/man/$page" "$files"
done
assert_no_match "nothing is for another distribution" '^/etc/kernel|initramfs-tools|libalpm' "$files"
assert_equal "what may be edited is configuration" \
    "/etc/dkms/framework.conf /etc/dkms/framework.conf.d/dracut.conf /etc/dnf/libdnf5-plugins/actions.d/dkms.actions" "$(rpm -qcp "$package" | paste -sd' ')"
assert_match "it asks for the headers of the kernels that are there" '^\(kernel-devel-matched if kernel-core\)$' "$(rpm -qp --recommends "$package")"
assert_match "the unit is enabled where it comes" '^/usr/lib/systemd/system-preset/85-dkms\.preset$' "$files"
assert_match "that says so" '^enable dkms\.service$' "$(<"$top/packaging/rpm/dkms.preset")"
assert_match "it provides dkms" '^dkms = 3\.4\.3$' "$(rpm -qp --provides "$package")"

# A dkms as others package it, and a driver that asks for it.
cat >"$work/others.spec" <<'SPEC'
Name: dkms
Version: 3.0.11
Release: 1
Summary: Another dkms
License: GPL
BuildArch: noarch
%description
Another dkms.
%install
mkdir -p %{buildroot}/etc/dkms %{buildroot}/usr/sbin
echo '# theirs' >%{buildroot}/etc/dkms/framework.conf
echo '#!/bin/sh' >%{buildroot}/usr/sbin/dkms
%files
%config(noreplace) /etc/dkms/framework.conf
%attr(755, root, root) /usr/sbin/dkms
%package -n hello-dkms
Summary: A driver
Requires: dkms >= 3.0.11
%description -n hello-dkms
A driver.
%files -n hello-dkms
SPEC
assert_status "rpmbuild makes another dkms and a driver" 0 build "$work/others.spec"
other=$(find "$work/RPMS" -name 'dkms-3.0.11-*.rpm')
driver=$(find "$work/RPMS" -name 'hello-dkms-*.rpm')

lower=$(root_base)
root=$(root_copy rpm "$lower")
# Everything else that the packages need is there, but rpm does not know it.
in_root() { rpm --root "$root" --dbpath /var/lib/rpm "$@"; }
edited=$'# Edited by the administrator.\nparallel_jobs="2"'
assert_status "the other dkms is installed with a driver" 0 in_root -U --nodeps "$other" "$driver"
printf '%s\n' "$edited" >"$root/etc/dkms/framework.conf"

assert_status "ours takes its place" 0 in_root -U --nodeps "$package"
refute "the other one is gone" in_root -q dkms
assert_status "what the driver asks for is there" 0 in_root -V --nofiles hello-dkms
assert_equal "the edited framework.conf is kept" "$edited" "$(cat "$root/etc/dkms/framework.conf")"
assert_equal "nothing is left aside but our own text" "/etc/dkms/framework.conf.rpmnew" \
    "$(cd "$root" && find etc/dkms -name '*.rpm*' -printf '/%p\n')"
assert_equal "the program runs" "dkms-$version" "$(root_run "$root" dkms --version)"
assert_status "every file is as it was packaged, but for what was edited" 0 \
    in_root -V --nodeps --noconfig dkms-rs
assert_status "it cannot go while the driver needs it" 1 in_root -e dkms-rs

assert_status "it is installed over itself" 0 in_root -U --nodeps --replacepkgs "$package"
assert_equal "the edited framework.conf is kept again" "$edited" "$(cat "$root/etc/dkms/framework.conf")"
assert_status "both go" 0 in_root -e hello-dkms dkms-rs
assert_equal "only what was edited is left" "etc/dkms/framework.conf.rpmnew
etc/dkms/framework.conf.rpmsave" \
    "$(cd "$root" && find etc usr var/lib -path '*dkms*' ! -type d -not -path 'var/lib/rpm/*' -not -path 'usr/share/zsh*/*' | LC_ALL=C sort)"

# The headers of a kernel that is not here yet, as Fedora packages them: the link from the kernel's directory is in another
# package. In a directory that stands for a machine.
cat >"$work/devel.spec" <<'SPEC'
Name: kernel-devel
Version: 6.9.5
Release: 200.fc40
Summary: Headers
License: GPL
BuildArch: noarch
%description
Headers.
%install
dir=%{buildroot}/usr/src/kernels/6.9.5-200.fc40.x86_64
mkdir -p $dir/include/generated
echo '#define UTS_RELEASE "6.9.5-200.fc40.x86_64"' >$dir/include/generated/utsrelease.h
%files
/usr/src/kernels
SPEC
assert_status "rpmbuild makes a package of headers" 0 build "$work/devel.spec"
headers=$(find "$work/RPMS" -name 'kernel-devel-*.rpm')
machine=$work/machine
mkdir -p "$machine"/{etc/dkms,usr/src,var/lib/dkms,lib/modules/6.9.4-200.fc40.x86_64,run}
echo 'ID=fedora' >"$machine/etc/os-release"
looked=$(DKMS_ROOT=$machine DKMS_UNAME_R=6.9.4-200.fc40.x86_64 "$work/programs/dkms" preflight "$headers" 2>&1 || true)
assert_match "preflight takes headers from an rpm package" '^6\.9\.5-200\.fc40\.x86_64  ready: ' "$looked"
refute "nothing of them is left" test -e "$machine/usr/src/kernels"
head -c 300 "$headers" >"$work/half.rpm"
looked=$(DKMS_ROOT=$machine DKMS_UNAME_R=6.9.4-200.fc40.x86_64 "$work/programs/dkms" preflight "$work/half.rpm" 2>&1 || true)
assert_match "half of one is refused" 'half\.rpm cannot be used as kernel headers: ' "$looked"

assert_done
