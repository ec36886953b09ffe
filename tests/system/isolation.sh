#!/bin/bash
# Real packages behind walls: that they build there, to the same bytes, and that a makefile that tries more gets nothing; as
# root of a machine, in a chroot without namespaces, and as the only user of a container.
set -euo pipefail

export ROOT_KERNELS=yes
# shellcheck source-path=SCRIPTDIR source=../lib/root.sh
. "$(dirname "$0")/../lib/root.sh"
root_private "$0" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/assert.sh
. "$(dirname "$0")/../lib/assert.sh"
# shellcheck source-path=SCRIPTDIR source=../lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
export ROOT_KERNELS=yes

packages=(acpi-call dm-writeboost v4l2loopback jool west-chamber bbswitch ddcci evdi xtables-addons)
kernel=$new_kernel
root=$(root_copy isolation "$(root_base)")
rules=$root/etc/dkms/framework.conf.d/isolation.conf

rule() { echo "build_isolation=$1" >"$rules"; }
# walls PACKAGE: those in the record of its build, and what it fell back for
walls() {
    root_run "$root" dkms status "$1" --format json | tr -d ' \n' | grep -o '"isolation":{[^}]*}' || true
}
all='"isolation":{"walls":["user","files","network","processes","landlock"]}'

assert_status "the package installs" 0 system_install_dkms "$root"
assert "it brings the user that builds run as" root_run "$root" id dkms-build
assert_match "check --full names all walls" "^Builds are isolated \\(auto\\) by the user dkms-build, .*, Landlock\$" \
    "$(root_run "$root" dkms check --full | grep '^Builds')"

for package in "${packages[@]}"; do
    root_run "$root" sh -c "cd /tmp && apt-get -q download $package-dkms" >>"$root/var/log/system-test.log" 2>&1
    dpkg-deb --fsys-tarfile "$root"/tmp/"$package"-dkms_*.deb | tar -x -C "$root" ./usr/src
done
for conf in "$root"/usr/src/*/dkms.conf; do
    root_run "$root" dkms add "$(dirname "${conf#"$root"}")" >>"$root/var/log/system-test.log" 2>&1
done
sums() { (cd "$root/lib/modules/$kernel/updates/dkms" && find . -type f -name '*.ko*' -exec sha256sum {} + | sort -k2); }
take_out() {
    local package
    for package in $(root_run "$root" dkms status | cut -d, -f1 | sort -u); do
        root_run "$root" dkms unbuild "$package" -k "$kernel" >>"$root/var/log/system-test.log" 2>&1
    done
}

rule off
assert_status "real packages build without walls" 0 root_run "$root" dkms autoinstall -k "$kernel"
sums >"$root/tmp/open"
take_out
rule strict
assert_status "real packages build behind walls" 0 root_run "$root" dkms autoinstall -k "$kernel"
sums >"$root/tmp/walled"
assert_equal "their modules are the same, byte for byte" "" "$(diff "$root/tmp/open" "$root/tmp/walled")"
assert "and there are some of each" test "$(wc -l <"$root/tmp/walled")" -gt "${#packages[@]}"
assert_equal "all walls stood around each of them" "${#packages[@]}" \
    "$(root_run "$root" dkms status --format json | tr -d ' \n' | grep -o '"isolation":{[^}]*}' | grep -cF "$all")"

# A package that tries what none should: tests/fixtures/escape.sh says what it could do.
for name in escape other; do
    cp -r "$ROOT_PROJECT/tests/fixtures/hello" "$root/usr/src/$name-1.0"
    sed -i "s/hello/$name/; s/^BUILT_MODULE_NAME.*/BUILT_MODULE_NAME[0]=\"hello\"/; \$a DEST_MODULE_NAME[0]=\"$name\"" \
        "$root/usr/src/$name-1.0/dkms.conf"
    assert "$name is added" root_run "$root" dkms add "$name/1.0"
done
cp "$ROOT_PROJECT/tests/fixtures/escape.sh" "$root/usr/src/escape-1.0/"
echo 'PRE_BUILD="escape.sh"' >>"$root/usr/src/escape-1.0/dkms.conf"
for secret in etc/dkms/secret var/lib/dkms/mok.key root/private; do
    echo secret >"$root/$secret"
    chmod 600 "$root/$secret"
done

# machine: what a build has no business with, with its times of change
machine() {
    (cd "$root" && find etc usr/src usr/bin lib/modules boot root var/lib/dkms/other tmp -printf '%p %T@ %m %U\n' | sort)
}

# try NAME WALLS COMMAND...: builds it behind these walls, and looks at what is left
try() {
    local name=$1 walls=$2 before log bystander status=0
    shift 2
    before=$(machine)
    SecretOfAnother=1 sleep 300 &
    bystander=$!
    "$@" dkms build escape/1.0 -k "$kernel" --force >"$work" 2>&1 </dev/null || status=$?
    cat "$work" >>"$root/var/log/system-test.log"
    assert_equal "$name: the build itself succeeds" 0 "$status"
    log=$(find "$root/var/lib/dkms/escape/1.0/$kernel" -path '*/log/make.log')
    assert_equal "$name: nothing was done" "" "$(grep '^DONE: ' "$log")"
    if [ "$name" != "one user" ]; then
        assert_match "$name: the number of processes is limited" '^stopped after' "$(grep '^stopped after' "$log")"
    fi
    assert_equal "$name: nothing is left" "" "$(diff <(echo "$before") <(machine))"
    assert "$name: other processes live" kill -0 "$bystander"
    kill "$bystander"
    assert_equal "$name: no process is left" "" "$(pgrep -f 'touch /tmp/late' || true)"
    assert_equal "$name: these walls stood" "$walls" \
        "$(root_run "$root" dkms status escape --format json | tr -d ' \n' | grep -o '"walls":[^]]*' | cut -d[ -f2)"
}

work=$(mktemp)
root_env MANY_PROCESSES=yes
try "root" '"user","files","network","processes","landlock"' root_run "$root"

# As in the containers of most build services, which may not make namespaces or mounts.
without_namespaces() {
    mapfile -d '' -t environment < <(root_chroot_env)
    env -i "${environment[@]}" chroot "$root" setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$@"
}
try "without namespaces" '"user","landlock"' without_namespaces

# As in a container that has one user.
one_user() {
    mapfile -d '' -t environment < <(root_chroot_env)
    env -i "${environment[@]}" unshare --user --map-root-user --mount --pid --fork chroot "$root" "$@"
}
# The kernel limits no number of processes of its root.
root_env
try "one user" '"files","network","processes","landlock"' one_user
rm -f "$work"

# What the rules do with a package that does not build behind walls.
cat >"$root/usr/src/other-1.0/pre.sh" <<'PRE'
#!/bin/sh
touch /etc/written
PRE
chmod 755 "$root/usr/src/other-1.0/pre.sh"
echo 'PRE_BUILD="pre.sh"' >>"$root/usr/src/other-1.0/dkms.conf"
refute "strict: it is refused" root_run "$root" dkms build other/1.0 -k "$kernel"
refute "strict: and has done nothing" test -e "$root/etc/written"
rule auto
assert "auto: it is built without" root_run "$root" dkms build other/1.0 -k "$kernel"
assert "auto: as it wants" test -e "$root/etc/written"
assert_match "auto: and that is recorded" '"fallback":"' "$(root_run "$root" dkms status other --format json | tr -d ' \n')"

assert_done
