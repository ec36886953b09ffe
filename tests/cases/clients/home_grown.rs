//! Scripts that people wrote: how they call dkms and how they read it. The numbers are those of the survey.

use super::{concludes, installed, says, sh, with};
use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

/// What a script makes of a machine where m/1.0 is installed and other/0.1 added.
#[rstest]
#[case::s01_retropie("dkms status | grep -q '^m' && dkms status | awk -F'[/,:]' '/^m/ {print $2}'", "1.0")]
#[case::s02_morrownr(
    "dkms status | while IFS='/,: ' read -r name ver kern _; do echo \"$name-$ver-$kern\"; done",
    "m-1.0-@K\nother-0.1-added"
)]
#[case::s04_it87("dkms status -m m -k $K | cut -d, -f1 | cut -d/ -f2", "1.0")]
#[case::s06_xone("dkms status m | head -n1 | tr -s ',:/' ' ' | cut -d' ' -f2", "1.0")]
#[case::s07_tt_kmd("dkms status | sed -nE 's|^m/([^,]+),.*|\\1|p'", "1.0")]
#[case::s08_alx_wol("dkms status | grep '^m/' | wc -l", "1")]
#[case::s09_respeaker("test -d $R/var/lib/dkms/m/1.0/$K && echo there", "there")]
#[case::s18_hackberry("dkms status -m unknown >/dev/null && echo always", "always")]
#[case::s20_pf_ring(
    "dkms status --format legacy | grep ^m, | sed 's/:/,/g; s/ //g' | awk '{split($1,a,\",\"); print a[1]\"/\"a[2]}'",
    "m/1.0"
)]
#[case::s21_ipt_netflow("dkms status --format legacy | grep ^m, | wc -l", "1")]
#[case::s22_dahdi(
    "dkms status --format legacy m | cut -d, -f2 | head -n1; dkms status -k $K | grep -q ': installed' && echo yes",
    " 1.0\nyes"
)]
#[case::s23_mc7710("dkms status --format legacy m | awk '{print $2}' | sed 's/,//'", "1.0")]
#[case::s25_tuxedo("dkms status -m m -v 1.0 | grep m >/dev/null && echo yes", "yes")]
#[case::s26_hss(
    "dkms status -m m -v 1.0 | grep -E '(added|built|installed)' | wc -l; dkms status --format legacy | grep -c 'm, 1.0'",
    "1\n1"
)]
#[case::s29_hd44780("dkms status m/1.0 | wc -l", "1")]
#[case::s30_bcachefs("if [ \"$(dkms status -m m -v 1.0)\" ]; then echo known; fi", "known")]
#[case::status_all("dkms status --all | wc -l", "2")]
#[case::python(
    "dkms status | python3 -c 'import re,sys; print([g.groups() for g in re.finditer(r\"(\\w+)(?:, |/)([\\w.]+)(?::|,)\", sys.stdin.read())][0])'",
    "('m', '1.0')"
)]
fn a_script_reads_status(#[case] script: &str, #[case] expected: &str) {
    let world = installed("m", "1.0");
    assert_eq!(says(&world, script).trim_end(), expected.replace("@K", K));
}

/// Calls that bring m/1.0 from its source tree to the kernel.
#[rstest]
#[case::s01_retropie("dkms install --no-initrd --force -m m/1.0 -k $K")]
#[case::s02_morrownr(
    "cp $R/usr/src/m-1.0/dkms.conf c; dkms add -m m -v 1.0 -c c && dkms build -m m -v 1.0 -k $K/$A -c c --force && dkms install -m m -v 1.0 -k $K/$A -c c --force"
)]
#[case::s03_aircrack("dkms add -m m -v 1.0 && dkms build -m m -v 1.0 && dkms install -m m -v 1.0")]
#[case::s05_xpadneo("set -- ; dkms build \"$@\" m/1.0 && FORCE=; dkms install \"$@\" \"${FORCE}\" m/1.0")]
#[case::s07_tt_kmd("cd $R/usr/src/m-1.0 && dkms add . && dkms install --force m/1.0")]
#[case::s09_respeaker(
    "dkms add -m m -v 1.0; dkms build -k $K -m m -v 1.0 && dkms install --force -k $K -m m -v 1.0"
)]
#[case::s11_qnap("cd $R/usr/src/m-1.0 && dkms install .")]
#[case::s13_legion("dkms add m -v 1.0; dkms build m --force -v 1.0 && dkms install m --force -v 1.0")]
#[case::s14_ksmbd("dkms install -m m/1.0 --force")]
#[case::s15_macbook("cd $R/usr/src/m-1.0 && dkms install -c dkms.conf --force -m m/1.0")]
#[case::s16_dkmakes("dkms add $R/usr/src/m-1.0 && dkms install m/1.0 -k $K")]
#[case::s19_alx("dkms add m/1.0 && dkms autoinstall m/1.0")]
#[case::s23_mc7710(
    "dkms add --verbose -m m -v 1.0 && dkms build --verbose -m m -v 1.0 && dkms install --verbose -m m -v 1.0"
)]
#[case::s27_chimera(
    "dkms remove m/1.0 --all || true; dkms add m/1.0; dkms build m/1.0 && dkms install m/1.0 || true"
)]
#[case::s28_sparse_keymap(
    "mv $R/usr/src/m-1.0 mine; ln -sfT $PWD/mine $R/usr/src/m-1.0; dkms add m/1.0; dkms install m/1.0 -k $K/$A"
)]
#[case::s30_bcachefs("dkms build -m m -v 1.0 -j 2 && dkms install -m m -v 1.0 -j 2")]
#[case::conf_path("cd $R/usr/src/m-1.0 && dkms add ./dkms.conf && dkms install m/1.0")]
#[case::forced_directory("dkms add --force $R/usr/src/m-1.0 && dkms install m/1.0")]
#[case::options_first("dkms --no-depmod install m/1.0")]
#[case::autoinstaller("dkms add m/1.0; \"$dkms_autoinstaller\" start $K")]
fn a_script_installs(#[case] script: &str) {
    let world = with("m", "1.0");
    sh(&world, script).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

/// Calls that take it out again.
#[rstest]
#[case("dkms remove -m m -v 1.0 --all")]
#[case("dkms remove m/1.0 --all")]
#[case("dkms remove --all m/1.0")]
#[case("dkms remove --all --force -m m -v 1.0")]
#[case("dkms remove m/1.0")]
#[case("dkms remove -m m -v 1.0 -k $K")]
#[case("dkms remove -m m -v 1.0 -c nothing")]
#[case("dkms remove -q -m m -v 1.0 --all")]
#[case("dkms uninstall m/1.0; dkms unbuild m/1.0; dkms remove m/1.0")]
#[case(
    "dkms uninstall m/$(dkms status --format legacy m | cut -d, -f2 | head -n1 | tr -d ' ') --all && dkms remove m/1.0 --all"
)]
#[case("dkms status m | awk -F'[/,]' '{print $1\"/\"$2}' | xargs -rn1 dkms remove --all")]
fn a_script_removes(#[case] script: &str) {
    let world = with("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    sh(&world, script).exits(0);
    assert!(world.tree().is_empty(), "{:?}", world.tree());
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
}

#[test]
fn s08_and_virtualbox_remove_the_tree_by_hand() {
    let world = installed("m", "1.0");
    says(&world, "rm -rf $R/var/lib/dkms/m");
    assert_eq!(world.status(), ["other/0.1: added"]);
    says(&world, "dkms install m/1.0 && dkms remove m/1.0 --all");
}

#[test]
fn s10_hailo_looks_at_the_log() {
    let world = World::new();
    world.package("m", "1.0").recipe("echo why; exit 1");
    sh(&world, "dkms build -m m -v 1.0 || (cat $R/var/lib/dkms/m/1.0/build/make.log; exit 1)")
        .exits(1)
        .says("why");
}

#[test]
fn s12_ipu6_skips_what_is_excluded() {
    let world = World::new();
    world.package("ipu6-drivers", "0.0.0").conf("BUILD_EXCLUSIVE_KERNEL=^9");
    let script = "cd $R/usr/src/ipu6-drivers-0.0.0 && dkms add . >&2; ret=$(dkms build -m ipu6-drivers/0.0.0 -k $K >&2; echo $?); echo $ret";
    assert_eq!(concludes(&world, script), "77");
}

#[test]
fn s15_the_original_comes_back() {
    let world = World::new();
    world.kernel(K).module("kernel/sound/m.ko", "0.5", "X");
    let original = fs::read(world.path(format!("/lib/modules/{K}/kernel/sound/m.ko"))).unwrap();
    world.package("m", "1.0");
    says(&world, "cd $R/usr/src/m-1.0 && dkms install -c dkms.conf --force -m m/1.0 && dkms remove m/1.0");
    assert_eq!(fs::read(world.path(format!("/lib/modules/{K}/kernel/sound/m.ko"))).unwrap(), original);
}

#[test]
fn s17_every_action_of_a_makefile() {
    let world = with("m", "1.0");
    for action in ["add", "build", "install", "uninstall"] {
        says(&world, &format!("dkms {action} m/1.0"));
    }
    says(&world, "dkms remove m/1.0 --all");
    assert!(world.tree().is_empty());
}

#[test]
fn s24_packaged_confs_read_the_kernels_configuration() {
    let world = World::new();
    world.kernel(K).config("CONFIG_X=y\n");
    let conf =
        "if grep -q CONFIG_X=y $kernel_source_dir/include/config/auto.conf; then MAKE='make with-x'; fi";
    world.package("xtables", "1.0").conf(conf);
    world.ok(&["build", "xtables/1.0"]);
    assert!(world.calls("make")[0].ends_with("with-x"));
}

#[test]
fn s27_package_scripts_run_at_its_removal() {
    let world = World::new();
    world
        .package("m", "1.0")
        .conf("POST_BUILD=save\nPOST_REMOVE=save\nBUILD_DEPENDS=")
        .script("save", "echo saved >> \"$DKMS_SCRATCH/saved\"");
    says(
        &world,
        "dkms remove m/1.0 --all || true; dkms add m/1.0; dkms build m/1.0 && dkms install m/1.0 || true; dkms remove m/1.0 --all",
    );
    assert_eq!(fs::read_to_string(world.scratch("saved")).unwrap().lines().count(), 2);
}

#[test]
fn s28_two_kernels_with_their_architectures() {
    let world = with("m", "1.0");
    world.kernel("5.9.0-1-686-pae").headers();
    says(&world, "dkms add m/1.0; dkms install m/1.0 -k $K/$A -k 5.9.0-1-686-pae/i686");
    let expected =
        ["m/1.0, 5.9.0-1-686-pae, i686: installed".to_owned(), format!("m/1.0, {K}, {}: installed", *A)];
    assert_eq!(world.status(), expected);
}

#[test]
fn tarballs_are_installed_by_name() {
    let world = with("m", "1.0");
    says(
        &world,
        "dkms build m/1.0 && dkms mktarball m/1.0 --archive $PWD/x.tar.gz && dkms remove m/1.0 --all",
    );
    says(&world, "dkms install --archive=x.tar.gz && dkms remove m/1.0 --all && dkms install x.tar.gz");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    says(&world, "dkms ldtarball --force --archive x.tar.gz");
}
