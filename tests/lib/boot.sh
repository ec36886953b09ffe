# shellcheck shell=bash
# Boots a root under qemu in software emulation. Source after system.sh.
#
#   boot_prepare ROOT              a unit that reports on the console when multi-user.target is reached, and powers off
#   boot_kernels ROOT KERNEL...    installs the package under test and kernels, in a root that starts from virtio disks
#   boot_driver ROOT KERNEL        hello/1.0 is added, does not build for that kernel until `echo >/usr/src/hello-1.0/not-yet.sh`, and
#                                  boot_default="keep-complete"
#   boot_disk ROOT FILE            make a disk of the root, without what is mounted in it
#   boot DISK ROOT KERNEL          boot the kernel of ROOT from the disk; prints the console

boot_prepare() {
    local root=$1
    cat >"$root/usr/local/sbin/report" <<'REPORT'
#!/bin/sh
# Every line of what is asked begins with "report NAME: ".
say() { sed "s/^/report $1: /"; }
uname -r | say kernel
cut -d' ' -f1 /proc/modules | say loaded
systemctl show dkms.service -p ActiveState -p Result -p ExecMainStartTimestampMonotonic -p ExecMainExitTimestampMonotonic | say unit
# Once more when the machine has nothing else to do, beside a program that does nothing.
for program in /usr/lib/dkms/boot /bin/true; do
    systemd-run --quiet --unit="again-${program##*/}" -p RemainAfterExit=yes -p CPUAccounting=yes "$program"
    sleep 3
    systemctl show "again-${program##*/}" -p ExecMainStartTimestampMonotonic -p ExecMainExitTimestampMonotonic -p CPUUsageNSec | say "again-${program##*/}"
done
systemctl show multi-user.target -p ActiveEnterTimestampMonotonic | say multi-user
systemctl --failed --no-legend --plain | say failed
dkms status | say status
dkms status --format json | tr -d ' \n' | grep -o '"walls":[^]]*' | say walls
grep -h '^DONE: ' /var/lib/dkms/*/*/*/*/log/make.log | say escaped
journalctl -b -o cat -u dkms.service --no-pager | say unit-journal
journalctl -b -o cat -t dkms-boot --no-pager | say journal
test ! -x /usr/local/sbin/step || /usr/local/sbin/step 2>&1 | say step
sync
echo "report end: end"
poweroff -f
REPORT
    chmod 755 "$root/usr/local/sbin/report"
    cat >"$root/etc/systemd/system/report.service" <<'UNIT'
[Unit]
After=multi-user.target dkms.service
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/report
StandardOutput=tty
TTYPath=/dev/ttyS0
UNIT
    printf '[Unit]\nRequires=multi-user.target\nAfter=multi-user.target\nWants=report.service\nAllowIsolate=yes\n' \
        >"$root/etc/systemd/system/report.target"
    ln -sf /etc/systemd/system/report.target "$root/etc/systemd/system/default.target"
    # Nothing that the test does not ask about may take time.
    local unit
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        serial-getty@ttyS0.service getty@tty1.service systemd-timesyncd.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    printf '/dev/vda / ext4 defaults 0 0\n' >"$root/etc/fstab"
    root_run "$root" systemd-machine-id-setup >/dev/null 2>&1
}

boot_kernels() {
    local root=$1 kernel
    shift
    assert_status "the package installs by apt" 0 system_install_dkms "$root"
    printf 'virtio_pci\nvirtio_blk\next4\n' >>"$root/etc/initramfs-tools/modules"
    boot_prepare "$root"
    for kernel in "$@"; do
        assert_status "kernel $kernel installs" 0 system_apt "$root" install "linux-image-$kernel" "linux-headers-$kernel"
    done
}

# reported NAME: what the machine said under this name, of which the file $console has all.
console=
reported() { sed -n "s/^report $1: //p" "$console"; }

boot_driver() {
    local root=$1 kernel=$2
    cp -r "$ROOT_PROJECT/tests/fixtures/hello" "$root/usr/src/hello-1.0"
    echo "PRE_BUILD=\"not-yet.sh\"" >>"$root/usr/src/hello-1.0/dkms.conf"
    # shellcheck disable=SC2016 # the script's own variable
    printf '#!/bin/sh\ntest "$kernelver" != %s\n' "$kernel" >"$root/usr/src/hello-1.0/not-yet.sh"
    chmod 755 "$root/usr/src/hello-1.0/not-yet.sh"
    root_run "$root" dkms add hello/1.0 >/dev/null
    echo 'boot_default="keep-complete"' >"$root/etc/dkms/framework.conf.d/boot.conf"
}

boot_disk() {
    local root=$1 disk=$2 view
    view=$(mktemp -d)
    mount --bind "$root" "$view"
    rm -f "$disk"
    mke2fs -q -t ext4 -d "$view" "$disk" 4G
    umount "$view"
    rmdir "$view"
}

# Further words for the kernel's command line.
boot_options=

boot() {
    local disk=$1 root=$2 kernel=$3
    timeout 900 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp "$(nproc)" -m 1024 -nographic -no-reboot -nodefaults \
        -serial stdio -kernel "$root/boot/vmlinuz-$kernel" -initrd "$root/boot/initrd.img-$kernel" \
        -append "root=/dev/vda rw console=ttyS0 panic=-1 systemd.show_status=1 rd.systemd.show_status=1 $boot_options" \
        -drive "file=$disk,format=raw,if=virtio,cache=unsafe" </dev/null 2>&1 | tr -d '\r'
}
