//! The infrastructure of rpm distributions, of Arch, and configuration management.

use super::{installed, says, sh, with};
use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

#[test]
fn kernel_packages_of_mageia_delete_by_kernel() {
    let world = installed("m", "1.0");
    sh(&world, "rm -fr $R/var/lib/dkms/*/kernel-$K-$A $R/var/lib/dkms/*/*/$K").exits(0);
    assert_eq!(world.status(), ["m/1.0: added", "other/0.1: added"]);
    world.ok(&["autoinstall"]);
}

#[test]
fn fedoras_post_transaction_runs_once() {
    let world = World::new();
    world.program("dracut", "echo \"$*\" >> @LOG@/dracut");
    world.write(
        "/etc/dkms/framework.conf",
        "modprobe_on_install=\"true\"\npost_transaction=\"dracut --regenerate-all --force\"\n",
    );
    for name in ["a", "b", "c"] {
        world.package(name, "1.0");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["autoinstall"]);
    assert_eq!(world.calls("dracut"), ["--regenerate-all --force"]);
}

#[test]
fn the_scripts_of_arch() {
    let world = with("m", "1.0");
    let kernel = "/usr/lib/modules/6.1.0-1-amd64";
    assert!(!world.has(kernel));
    // 70-dkms-install: for each source, what it has for the kernel is read with these expressions.
    let states = "dkms status -k $K | while read -r l; do [[ $l =~ ^([^/]+/[^,]+),\\ $K,\\ [^:]+:\\ (built|installed) ]] && echo ${BASH_REMATCH[1]} ${BASH_REMATCH[2]}; done; true";
    let bash = |line: &str| format!("K=$K R=$R bash -c '{line}'");
    assert_eq!(says(&world, &bash(states)), "");
    says(&world, "dkms install --no-depmod m/1.0 -k $K >/dev/null");
    assert_eq!(world.depmods(K), 0);
    assert_eq!(says(&world, &bash(states)), "m/1.0 installed\n");
    says(&world, "dkms status -m m -k $K | grep -qE \"m/[^,]+, $K, [^:]+: installed\"");
    assert_eq!(says(&world, "dkms status m/1.0"), format!("{}\n", line("m/1.0", K, "installed")));
    // 70-dkms-upgrade and 71-dkms-remove
    says(&world, "dkms remove --no-depmod m/1.0 -k $K >/dev/null");
    assert_eq!(world.status(), [""; 0]);
    says(&world, "dkms add m/1.0 && dkms remove m/1.0 && dkms status");
    assert!(world.tree().is_empty());
}

#[test]
fn aur_kernels_build_into_their_own_tree() {
    let world = with("nvidia", "550");
    let tree = world.scratch("tree");
    fs::create_dir_all(&tree).unwrap();
    says(&world, "dkms build --dkmstree $PWD/tree -m nvidia/550 -k $K");
    says(&world, "test -f tree/nvidia/550/$K/$A/module/nvidia.ko");
    assert!(world.tree().is_empty());
}

#[test]
fn the_kernel_packages_of_aosc() {
    let world = installed("m", "1.0");
    let prerm = "dkms status -k $K | grep -E ': (installed|built)' | cut -d , -f1 | while read -r m; do dkms remove $m -k $K; done";
    says(&world, prerm);
    assert_eq!(world.status(), ["other/0.1: added"]);
    says(&world, "dkms autoinstall --kernelver $K");
    assert_eq!(world.status(), [line("other/0.1", K, "installed")]);
}

#[test]
fn bootc_installs_a_directory_for_another_kernel() {
    let world = World::without_kernel();
    world.kernel("6.11.4-301.fc41").headers();
    world.write("/etc/os-release", "ID=fedora\n");
    world.program("rpm", "exit 1");
    let settings = "post_transaction=\"\"\nmodprobe_on_install=\"false\"\ntry_sign_modules=\"false\"\n";
    world.write("/etc/dkms/framework.conf.d/build.conf", settings);
    let dir = world.scratch("driver");
    world.package_in(&dir, "driver", "1");
    let headers = world.path("/lib/modules/6.11.4-301.fc41/build");
    let headers = headers.to_str().unwrap();
    let slash = format!("{}/", dir.display());
    world.ok(&["install", "-k", "6.11.4-301.fc41", "--kernelsourcedir", headers, &slash]);
    assert!(world.has("/lib/modules/6.11.4-301.fc41/extra/driver.ko"));
}

#[test]
fn puppet_acts_only_where_status_does_not_match() {
    let world = with("m", "1.0");
    let add = "dkms status -m m -v 1.0 | grep -q ':' || dkms add -m m -v 1.0";
    let build =
        "dkms status -m m -v 1.0 -k $K | grep -qE ': (built|installed)' || dkms build -m m -v 1.0 -k $K";
    let install = "dkms status -m m -v 1.0 -k $K | egrep -q ': installed' || dkms install -m m -v 1.0 -k $K";
    for _ in 0..2 {
        for step in [add, build, install] {
            says(&world, step);
        }
    }
    assert_eq!(world.calls("make").len(), 1);
    says(&world, "dkms remove -m m -v 1.0 --all; dkms autoinstall");
    assert!(world.tree().is_empty());
}

#[rstest]
#[case::azure_and_amd("sed -n 's/^dkms-\\(.*\\)$/\\1/p'")]
#[case::parallels("sed 's/dkms: //' | sed 's/^dkms-//'")]
fn version_tests(#[case] parser: &str) {
    let world = World::new();
    let version = says(&world, &format!("dkms --version | {parser}"));
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
    let newest = says(&world, &format!("(echo 3.4.1; dkms --version | {parser}) | sort -V | tail -n 1"));
    assert_eq!(newest, version);
}

#[test]
fn rpm_scripts_call_common_postinst_with_two_arguments() {
    let world = with("dattobd", "0.11");
    sh(&world, "\"$common_postinst\" dattobd 0.11").exits(0);
    assert_eq!(world.status(), [format!("dattobd/0.11, {K}, {}: installed", *A)]);
}
