#!/bin/bash
# A machine with SELinux that enforces its policy is booted with a package that is pending: the boot unit builds it behind its walls,
# its module is loaded, and every file has the label that the policy wants, those of an extension of mksysext too. The directory over
# /usr is systemd's own: that of 252 has a label of /run, which closes it to modprobe(8).
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/boot.sh
. "$(dirname "$0")/../lib/boot.sh"
"$ROOT_PROJECT/tests/lib/need" qemu-system-x86 e2fsprogs mmdebstrap debian-archive-keyring

root=$(system_root boot-selinux systemd systemd-sysv udev initramfs-tools selinux-policy-default selinux-utils policycoreutils erofs-utils)
work=$(mktemp -d "$ROOT_CACHE/disk.XXXXXX")
trap 'rm -rf "$work"; root_clean' EXIT
console=$work/console
boot_kernels "$root" "$old_kernel"
cp -r "$ROOT_PROJECT/tests/fixtures/hello" "$root/usr/src/hello-1.0"
assert "the driver is added" root_run "$root" dkms add hello/1.0
echo hello >"$root/etc/modules-load.d/hello.conf"
cp -r "$ROOT_PROJECT/tests/fixtures/hello" "$root/usr/src/extra-1.0"
mv "$root/usr/src/extra-1.0/hello.c" "$root/usr/src/extra-1.0/extra.c"
sed -i 's/hello/extra/g' "$root/usr/src/extra-1.0/dkms.conf" "$root/usr/src/extra-1.0/Makefile"
mkdir -p "$root/var/lib/extensions"
assert_status "another driver is built" 0 root_run "$root" dkms build extra/1.0 -k "$old_kernel"
assert_status "an extension is made" 0 root_run "$root" dkms mksysext -k "$old_kernel" --archive /var/lib/extensions/dkms.raw
root_run "$root" dkms remove extra/1.0 --all >/dev/null
cat >"$root/usr/local/sbin/step" <<'STEP'
#!/bin/sh
getenforce
restorecon -nvR /lib/modules /var/lib/dkms /usr/src /etc/dkms /boot | sed 's/^/label: /'
ls -Z "/lib/modules/$(uname -r)/updates/dkms/"
systemd-sysext refresh
ls -Z "/usr/lib/modules/$(uname -r)/updates/dkms/" | sed 's/^/extension: /'
journalctl -b --no-pager -o cat | grep 'avc:  denied' | sed 's/^/avc: /'
STEP
chmod 755 "$root/usr/local/sbin/step"
sed -i 's/^SELINUX=.*/SELINUX=enforcing/' "$root/etc/selinux/config"
# As the first boot would do, but here it takes seconds.
view=$work/view
mkdir "$view"
mount --bind "$root" "$view"
mount -t proc proc "$view/proc"
assert "files are labelled" root_run "$view" setfiles -F /etc/selinux/default/contexts/files/file_contexts /
umount --recursive "$view"
boot_disk "$root" "$work/disk"

# shellcheck disable=SC2034 # used by boot
boot_options='security=selinux selinux=1'
boot "$work/disk" "$root" "$old_kernel" >"$console"
cp "$console" "$ROOT_PROJECT/target/system-tests/boot-selinux.console"
assert_equal "the machine boots, and reports" "$old_kernel" "$(reported kernel)"
assert_match "the policy is enforced" '^Enforcing$' "$(reported step)"
assert_match "the unit builds what is pending" "^hello/1\.0, $(regex "$old_kernel"), x86_64: installed\$" "$(reported status)"
assert_match "behind all walls" '"user","files","network","processes","landlock"' "$(reported walls)"
assert_match "the module is loaded" '^hello$' "$(reported loaded)"
assert_match "it has the label of modules" ':modules_object_t:s0 ' "$(reported step)"
assert_no_match "every file has the label of its kind" '^label: ' "$(reported step)"
assert_match "the module of the extension has it too" '^extension: .*:modules_object_t:s0 extra\.ko' "$(reported step)"
assert_no_match "nothing of ours was denied" '^avc: .*(dkms|make|cc1|modprobe)' "$(reported step)"
assert_equal "no unit of ours failed" "" "$(reported failed | grep dkms || true)"

assert_done
