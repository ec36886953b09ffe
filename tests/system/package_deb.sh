#!/bin/bash
# The Debian package: what lintian finds, what it says of itself, and its maintainer scripts, called as policy allows: again,
# and in any order. Then its purge, which leaves nothing but sources.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
"$ROOT_PROJECT/tests/lib/need" lintian shellcheck mmdebstrap debian-archive-keyring
export ROOT_KERNELS=no

deb=$DKMS_DEB
field() { dpkg-deb --field "$deb" "$1"; }
work=$(mktemp -d)
trap 'rm -rf "$work"; root_clean' EXIT
dpkg-deb --raw-extract "$deb" "$work/deb"

# An override needs its reason in the file.
tests=$(dirname "$deb")/dkms-rs-tests
for package in "$deb" "$tests"/*.deb; do
    assert_equal "lintian finds nothing to complain about in $(basename "$package")" "" \
        "$(lintian --allow-root --display-info --pedantic --tag-display-limit 0 "$package" 2>&1)"
done
assert_equal "the packages for tests have the names that Debian's have" \
    "dkms-noautoinstall-test-dkms dkms-replace-test-dkms dkms-test-dkms" "$(cd "$tests" && echo *.deb | sed 's/_[^ ]*//g')"
assert_match "it stands for dkms" '(^|, )dkms \(= 3\.4\.3\)(,|$)' "$(field Provides)"
assert_match "it stands for dkms-autopkgtest" '(^|, )dkms-autopkgtest \(' "$(field Provides)"
assert_equal "it is not installed beside dkms, and takes the files of both packages" \
    "dkms, dkms-autopkgtest dkms, dkms-autopkgtest" "$(field Conflicts) $(field Replaces)"
assert_match "it depends on the C library that it was linked with" 'libc6 \(>= ' "$(field Depends)"
assert_equal "every file of /etc is a conffile" "$(cd "$work/deb" && find etc -type f -printf '/%p\n' | LC_ALL=C sort)" \
    "$(LC_ALL=C sort "$work/deb/DEBIAN/conffiles")"
for page in man8/dkms.8 man5/dkms.conf.5 man7/dkms-hooks.7; do
    assert "the page ${page#*/} is there" gzip --test "$work/deb/usr/share/man/$page.gz"
done
assert_equal "nothing executable stands in /etc but text" "" \
    "$(find "$work/deb/etc" -type f -exec grep -lI -L . {} +)"
for script in preinst postinst prerm postrm; do
    assert "$script: shellcheck finds nothing" shellcheck "$work/deb/DEBIAN/$script"
    assert_no_match "$script: nothing is left to be filled in" '@[A-Z]+@|#[A-Z]+#' "$(<"$work/deb/DEBIAN/$script")"
done

lower=$(root_base)
root=$(root_copy deb "$lower")
cp "$deb" "$root/tmp/dkms-rs.deb"
assert_status "apt installs it" 0 root_apt "$root" install /tmp/dkms-rs.deb
script() { root_run "$root" "/var/lib/dpkg/info/dkms-rs.$1" "${@:2}"; }
state() { (cd "$root" && find etc/dkms etc/kernel etc/modprobe.d var/lib/dkms -type f -exec md5sum {} + | LC_ALL=C sort -k 2); }
before=$(state)
for call in "preinst install" "preinst upgrade 3.9" "preinst abort-upgrade 4.1" "postinst configure" \
    "postinst configure 4.0.0" "postinst abort-upgrade 4.1" "postinst abort-remove" \
    "postinst abort-deconfigure in-favour dkms 3.0 removing x 1" "prerm upgrade 4.1" "prerm failed-upgrade 3.9" \
    "prerm deconfigure in-favour dkms 3.0" "postrm upgrade 4.1" "postrm failed-upgrade 3.9" "postrm abort-install" \
    "postrm abort-upgrade 3.9" "postrm disappear dkms 3.0"; do
    for turn in first second; do
        # shellcheck disable=SC2086 # the words of the call
        assert_status "$call, the $turn time" 0 script $call
    done
done
assert_equal "none of them changed a file" "$before" "$(state)"

# Two kernels without anything real, one of which has a module that ours replaces; the one that is added by hand belongs to no package.
for kernel in 6.1.0-1-test 6.1.0-2-test; do
    mkdir -p "$root/lib/modules/$kernel/build/include" "$root/lib/modules/$kernel/kernel/drivers"
    touch "$root/lib/modules/$kernel/modules.dep" "$root/lib/modules/$kernel/modules.order" "$root/lib/modules/$kernel/modules.builtin"
done
printf 'int hello;\n' | root_run "$root" gcc -c -x c - -o /lib/modules/6.1.0-1-test/kernel/drivers/hello.ko
original=$(md5sum <"$root/lib/modules/6.1.0-1-test/kernel/drivers/hello.ko")
touch "$root/lib/modules/6.1.0-1-test/kernel/drivers/other.ko"
mkdir -p "$root/usr/src/hello-1.0" "$root/etc/dkms"
printf 'int hello = 2;\n' >"$root/usr/src/hello-1.0/hello.c"
cat >"$root/usr/src/hello-1.0/dkms.conf" <<'CONF'
PACKAGE_NAME="hello"
PACKAGE_VERSION="1.0"
MAKE="'gcc' -c hello.c -o hello.ko"
BUILT_MODULE_NAME="hello"
DEST_MODULE_LOCATION="/updates/dkms"
CONF
echo 'STRIP="no"' >"$root/etc/dkms/hello.conf"
assert_status "a package is installed by hand" 0 \
    root_run "$root" dkms install --force hello/1.0 -k 6.1.0-1-test -k 6.1.0-2-test
assert "its module is there" test -f "$root/lib/modules/6.1.0-1-test/updates/dkms/hello.ko"
assert "it replaced the kernel's" test ! -e "$root/lib/modules/6.1.0-1-test/kernel/drivers/hello.ko"

# apport is Ubuntu's; a module of this name takes its place, and keeps what it is given. Packages own the source and the kernel.
assert_status "python3 is there" 0 root_apt "$root" install python3-minimal
mkdir -p "$root/usr/share/apport" "$root/var/crash" "$work/bad/DEBIAN" "$work/bad/usr/src/bad-1.0" "$work/bad/boot" "$root/usr/lib/python3/dist-packages/apport"
printf '#!/bin/sh\n' >"$root/usr/share/apport/apport"
chmod 755 "$root/usr/share/apport/apport"
touch "$work/bad/boot/vmlinuz-6.1.0-1-test" "$root/usr/lib/python3/dist-packages/apport/__init__.py"
cat >"$root/usr/lib/python3/dist-packages/apport/report.py" <<'PYTHON'
class Report(dict):
    def __init__(self, kind):
        self["ProblemType"] = kind
    def write(self, file):
        file.write("".join(f"{key}: {value}\n" for key, value in self.items()).encode())
PYTHON
cat >"$root/usr/lib/python3/dist-packages/apport/fileutils.py" <<'PYTHON'
def make_report_file(report):
    return open("/var/crash/" + report["Package"].split()[0] + ".0.crash", "xb")
PYTHON
printf 'Package: bad-dkms\nSource: bad\nVersion: 1.0-1\nArchitecture: all\nMaintainer: m <m@m>\nDescription: d\n' >"$work/bad/DEBIAN/control"
printf 'int bad(\n' >"$work/bad/usr/src/bad-1.0/bad.c"
sed 's/hello/bad/g' "$root/usr/src/hello-1.0/dkms.conf" >"$work/bad/usr/src/bad-1.0/dkms.conf"
dpkg-deb --build --root-owner-group "$work/bad" "$root/tmp/bad.deb" >/dev/null
assert_status "a package with a bad driver is installed" 0 root_apt "$root" install /tmp/bad.deb
root_run "$root" dkms build bad/1.0 --force -k 6.1.0-1-test >/dev/null 2>&1 || true
report=$(cat "$root/var/crash/bad-dkms.0.crash" 2>&1 || true)
assert_match "apport gets a report of it" '^Package: bad-dkms 1\.0-1$' "$report"
assert_match "with the compiler's error" '^DuplicateSignature: dkms:bad-dkms:1\.0-1:bad\.c:.*: error: ' "$report"
refute "a driver that no package brought is not reported" root_run "$root" \
    python3 /usr/share/apport/package-hooks/dkms_packages.py -m hello -v 1.0 -k 6.1.0-1-test
cp "$root/usr/src/hello-1.0/hello.c" "$root/usr/src/bad-1.0/bad.c"
assert_status "the driver can be built now" 0 root_run "$root" dkms build bad/1.0 -k 6.1.0-1-test
assert "and apport's report is gone" test ! -e "$root/var/crash/bad-dkms.0.crash"
assert_status "the driver goes" 0 root_run "$root" dkms remove bad/1.0 --all
rm "$root/usr/share/apport/apport"
assert_status "its package goes" 0 root_apt "$root" purge bad-dkms
assert_status "python3 goes" 0 root_apt "$root" purge python3-minimal

assert_status "apt removes it" 0 root_apt "$root" remove dkms-rs
assert "removed: the tree stays" test -L "$root/var/lib/dkms/hello/kernel-6.1.0-2-test-x86_64"
assert "removed: the modules stay" test -f "$root/lib/modules/6.1.0-1-test/updates/dkms/hello.ko"
assert "removed: the hooks that stay do nothing" root_run "$root" run-parts --arg=6.1.0-1-test /etc/kernel/prerm.d
assert_status "apt purges it" 0 root_apt "$root" purge dkms-rs
refute "purged: the tree is gone" test -e "$root/var/lib/dkms"
assert_equal "purged: no module of ours is left" "lib/modules/6.1.0-1-test/kernel/drivers/hello.ko" \
    "$(cd "$root" && find lib/modules/ usr/lib/modules/ -path '*-test*' -name 'hello.ko*' | sort -u | sed 's|^usr/||' | sort -u)"
assert_equal "purged: the kernel has its own module back" "$original" \
    "$(md5sum <"$root/lib/modules/6.1.0-1-test/kernel/drivers/hello.ko")"
assert "purged: other modules are as they were" test -f "$root/lib/modules/6.1.0-1-test/kernel/drivers/other.ko"
assert "purged: the source stays" test -f "$root/usr/src/hello-1.0/dkms.conf"
assert_equal "purged: in /etc only the administrator's file is left" "etc/dkms/hello.conf" \
    "$(cd "$root" && find etc -path '*dkms*' -type f)"
cp "$work/deb/DEBIAN/postrm" "$root/tmp/postrm"
assert_status "purging again does no harm" 0 root_run "$root" /tmp/postrm purge

assert_done
