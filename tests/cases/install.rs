//! The action install.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;
use std::path::Path;

fn installed(file: &str) -> String {
    format!("/lib/modules/{K}/updates/dkms/{file}")
}

fn original(file: &str) -> String {
    format!("/var/lib/dkms/m/original_module/{K}/{}/{file}", *A)
}

#[test]
fn installing_adds_builds_installs_and_indexes_once() {
    let world = World::new();
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert_eq!(fs::read(world.path(installed("m.ko"))).unwrap(), package.built("m"));
    let link = world.path(format!("/var/lib/dkms/m/kernel-{K}-{}", *A)).read_link().unwrap();
    assert_eq!(link, Path::new(&format!("1.0/{K}/{}", *A)));
    assert_eq!(world.depmods(K), 1);
}

#[test]
fn second_installation_is_skipped_with_a_hint() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let before = world.everything();
    let text = format!(
        "Module m/1.0 already installed on kernel {K} ({}), skip. You may override by specifying --force.",
        *A
    );
    world.ok(&["install", "m/1.0"]).prints(&[&text]);
    assert_eq!(world.everything(), before);
    assert_eq!(world.depmods(K), 1);
    world.ok(&["install", "--force", "m/1.0"]);
    assert_eq!((world.calls("make").len(), world.depmods(K)), (1, 2));
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[rstest]
#[case("ID=debian\n", "updates/dkms")]
#[case("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "updates/dkms")]
#[case("ID=arch\n", "updates/dkms")]
#[case("ID=fedora\n", "extra")]
#[case("ID=rhel\nID_LIKE=fedora\n", "extra")]
#[case("ID=opensuse-leap\n", "updates")]
#[case("ID=gentoo\n", "kernel/drivers/misc")]
#[case("ID=alpine\n", "kernel/drivers/misc")]
fn the_distribution_decides_where_modules_go(#[case] os_release: &str, #[case] dir: &str) {
    let world = World::new();
    world.write("/etc/os-release", os_release);
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert!(world.has(&format!("/lib/modules/{K}/{dir}/m.ko")), "{:#?}", world.names("/lib/modules"));
    world.ok(&["uninstall", "m/1.0"]);
    assert!(!world.names("/lib/modules").iter().any(|name| name.ends_with("m.ko")));
}

#[test]
fn addon_modules_dir_beats_the_distribution() {
    let mut world = World::new();
    world.set("ADDON_MODULES_DIR", "addon");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert!(world.has(&format!("/lib/modules/{K}/addon/m.ko")));
    world.set("ADDON_MODULES_DIR", "");
    world.ok(&["uninstall", "m/1.0"]);
    assert!(!world.has(&format!("/lib/modules/{K}/addon")));
}

#[test]
fn symlinks_lead_into_the_tree() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "--symlink-modules", "m/1.0"]);
    let target = world.path(installed("m.ko")).read_link().unwrap();
    assert_eq!(target, world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A)));
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["uninstall", "m/1.0"]);
    assert!(!world.has(&installed("m.ko")));
}

#[test]
fn a_kernel_that_is_not_there_is_refused() {
    let world = World::new();
    let dir = world.scratch("headers");
    fs::create_dir_all(dir.join("include")).unwrap();
    world.package("m", "1.0");
    let headers = format!("--kernelsourcedir={}", dir.display());
    world.dkms(&["install", "m/1.0", "-k", "6.9", &headers]).exits(6).complains("Error! ");
    assert_eq!(world.status(), [line("m/1.0", "6.9", "built")]);
    assert!(!world.has("/lib/modules/6.9"));
}

#[test]
fn an_original_is_moved_aside_and_comes_back() {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    let old = fs::read(world.path(format!("/lib/modules/{K}/kernel/drivers/misc/m.ko"))).unwrap();
    world.package("m", "1.0");
    let before = world.names("/lib/modules");
    world.ok(&["install", "m/1.0"]);
    assert!(!world.has(&format!("/lib/modules/{K}/kernel/drivers/misc/m.ko")));
    assert_eq!(fs::read(world.path(original("m.ko"))).unwrap(), old);
    assert_eq!(
        world.read(&original("m.ko.origin")).trim_end(),
        world.path(format!("/lib/modules/{K}/kernel/drivers/misc/m.ko")).to_str().unwrap()
    );
    assert_eq!(world.status(), [line("m/1.0", K, "installed (Original modules exist)")]);
    world.ok(&["uninstall", "m/1.0"]);
    assert_eq!(world.names("/lib/modules"), before);
    assert_eq!(fs::read(world.path(format!("/lib/modules/{K}/kernel/drivers/misc/m.ko"))).unwrap(), old);
    assert!(!world.has("/var/lib/dkms/m/original_module"));
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
}

#[test]
fn originals_in_several_places_all_come_back() {
    let world = World::new();
    let places = ["extra/m.ko", "updates/m.ko", "kernel/a/m.ko", "kernel/b/m.ko"];
    for (i, place) in places.iter().enumerate() {
        world.kernel(K).module(place, "0.1", &format!("OLD{i}"));
    }
    world.package("m", "1.0");
    let before = world.everything();
    world.ok(&["install", "m/1.0"]);
    world.ok(&["remove", "m/1.0", "--all"]);
    let after = world.everything();
    let modules = |all: &std::collections::BTreeMap<String, Vec<u8>>| -> Vec<(String, Vec<u8>)> {
        all.iter().filter(|(name, _)| name.starts_with("lib/")).map(|(n, c)| (n.clone(), c.clone())).collect()
    };
    assert_eq!(modules(&after), modules(&before));
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn second_version_keeps_the_original_of_the_first() {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    world.package("m", "1.0");
    let newer = world.package("m", "2.0");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["install", "m/2.0"]);
    assert_eq!(
        world.status(),
        [
            line("m/1.0", K, "built (Original modules exist)"),
            line("m/2.0", K, "installed (Original modules exist)")
        ]
    );
    assert_eq!(fs::read(world.path(installed("m.ko"))).unwrap(), newer.built("m"));
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(world.status(), [line("m/2.0", K, "installed (Original modules exist)")]);
    world.ok(&["remove", "m/2.0", "--all"]);
    assert!(world.has(&format!("/lib/modules/{K}/kernel/drivers/misc/m.ko")));
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[rstest]
// the kernel's version and source, ours, whether it is refused
#[case(("2.0", "X"), ("1.0", "Y"), true)]
#[case(("1.0", "X"), ("1.0", "X"), true)]
#[case(("1.0", "X"), ("1.0", "Y"), false)]
#[case(("0.9", "X"), ("1.0", "Y"), false)]
#[case(("1.0", "X"), ("", "Y"), true)]
#[case(("", "X"), ("1.0", "X"), false)]
#[case(("", ""), ("", ""), true)]
#[case(("999", ""), ("1000", ""), false)]
#[case(("20240101", ""), ("999", ""), true)]
fn kernels_module_stays_if_it_is_as_good(
    #[case] kernels: (&str, &str),
    #[case] ours: (&str, &str),
    #[case] refused: bool,
) {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", kernels.0, kernels.1);
    world.package("m", "1.0").module_of("m", ours.0, ours.1);
    let ended = world.dkms(&["install", "m/1.0"]);
    ended.exits(if refused { 6 } else { 0 });
    assert_eq!(world.status().len(), 1);
    assert_eq!(world.has(&installed("m.ko")), !refused);
    assert_eq!(world.has(&format!("/lib/modules/{K}/kernel/drivers/misc/m.ko")), refused);
    if refused {
        ended.complains("--force");
        assert_eq!(world.status(), [line("m/1.0", K, "built")]);
        assert_eq!(world.depmods(K), 0);
        world.ok(&["install", "--force", "m/1.0"]);
        assert!(world.has(&installed("m.ko")));
    }
}

#[test]
fn a_version_override_installs_over_a_newer_module() {
    let world = World::new();
    world.kernel(K).module("kernel/m.ko", "2.0", "X");
    world.package("m", "1.0");
    world.ok(&["install", "--force-version-override", "m/1.0"]);
    assert!(world.has(&installed("m.ko")));
}

#[rstest]
#[case("m\n")]
#[case("other m_version-override")]
fn a_file_of_words_forces_installations(#[case] words: &str) {
    let world = World::new();
    world.kernel(K).module("kernel/m.ko", "2.0", "X");
    world.write("/usr/share/dkms/modules_to_force_install/list", words);
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert!(world.has(&installed("m.ko")));
}

#[test]
fn refused_module_lets_its_sibling_in() {
    let world = World::new();
    world.kernel(K).module("kernel/m.ko", "2.0", "X");
    world.package("m", "1.0").module("n").conf("BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/extra");
    world.ok(&["install", "m/1.0"]).complains("m.ko");
    assert!(world.has(&installed("n.ko")) && !world.has(&installed("m.ko")));
    let suffix = "installed (Differences between built and installed modules)";
    assert_eq!(world.status(), [line("m/1.0", K, suffix)]);
}

const TWO: &str = "BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/extra";

#[test]
fn older_version_replaces_a_newer_by_force_only() {
    let world = World::new();
    world.package("m", "1.0");
    world.package("m", "2.0");
    world.ok(&["install", "m/2.0"]);
    world.dkms(&["install", "m/1.0"]).exits(6);
    assert_eq!(world.status(), [line("m/1.0", K, "built"), line("m/2.0", K, "installed")]);
    world.ok(&["install", "m/1.0", "--force"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), line("m/2.0", K, "built")]);
}

#[test]
fn unchanged_module_stays_at_an_upgrade() {
    let world = World::new();
    world.package("m", "1.0").module_of("n", "7", "SAME").conf(TWO);
    world.package("m", "2.0").module_of("n", "7", "SAME").file("other", "x").conf(TWO);
    world.ok(&["install", "m/1.0"]);
    world.ok(&["install", "m/2.0"]);
    assert!(world.has(&installed("n.ko")) && world.has(&installed("m.ko")));
    world.ok(&["remove", "m/2.0", "--all"]);
    assert!(!world.has(&installed("n.ko")) && !world.has(&installed("m.ko")));
}

#[test]
fn dropped_module_gives_the_kernel_its_own_back() {
    let world = World::new();
    let own = format!("/lib/modules/{K}/kernel/n.ko");
    world.kernel(K).module("kernel/n.ko", "0.1", "OLD");
    world.package("m", "1.0").module("n").conf(TWO);
    world.package("m", "2.0");
    world.ok(&["install", "m/1.0"]);
    assert!(!world.has(&own));
    world.ok(&["install", "m/2.0"]);
    assert!(world.has(&own) && !world.has(&installed("n.ko")));
    world.ok(&["remove", "m/1.0", "--all"]);
    world.ok(&["remove", "m/2.0", "--all"]);
    assert!(world.has(&own) && world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn an_installation_that_fails_halfway_takes_everything_back() {
    let world = World::new();
    world.kernel(K).module("kernel/m.ko", "0.1", "OLD");
    world.package("m", "1.0").module("n").conf(TWO);
    world.ok(&["build", "m/1.0"]);
    let before = world.names("/lib/modules");
    // A directory in the second module's place: it cannot be written.
    world.write(&format!("{}/in-the-way", installed("n.ko")), "");
    let with_obstacle = world.names("/lib/modules");
    world.dkms(&["install", "m/1.0"]).exits(6);
    assert_eq!(world.names("/lib/modules"), with_obstacle);
    assert!(!world.has("/var/lib/dkms/m/original_module"), "{:#?}", world.tree());
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    std::fs::remove_dir_all(world.path(format!("/lib/modules/{K}/updates"))).unwrap();
    assert_eq!(world.names("/lib/modules"), before);
    world.ok(&["install", "m/1.0"]);
}

#[test]
fn a_damaged_file_of_ours_is_installed_again() {
    let world = World::new();
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.write(&installed("m.ko"), "");
    world.ok(&["install", "m/1.0"]);
    assert_eq!(fs::read(world.path(installed("m.ko"))).unwrap(), package.built("m"));
}

#[test]
fn a_script_without_its_first_line_runs() {
    let world = World::new();
    world.package("m", "1.0").script("pre", "exit 3").conf("PRE_INSTALL=pre");
    let script = world.path("/usr/src/m-1.0/pre");
    let body = fs::read_to_string(&script).unwrap();
    let bare: Vec<&str> = body.lines().filter(|line| !line.starts_with("#!")).collect();
    fs::write(&script, bare.join("\n")).unwrap();
    world.dkms(&["install", "m/1.0"]).exits(101).complains("status 3");
}

#[test]
fn identical_file_in_our_place_is_taken_over() {
    let world = World::new();
    let package = world.package("m", "1.0");
    world.write(&installed("m.ko"), package.built("m"));
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["uninstall", "m/1.0"]);
    assert!(!world.has(&installed("m.ko")));
}

#[test]
fn a_failing_depmod_rolls_the_installation_back() {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    world.package("m", "1.0");
    let before = world.names("/lib/modules");
    world.tool_does("depmod", "echo 'depmod: broken pipe dream' >&2; exit 1");
    world.dkms(&["install", "m/1.0"]).exits(6).complains("Error! ").complains("broken pipe dream");
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    assert_eq!(world.names("/lib/modules"), before);
    world.tool_does("depmod", "");
    world.ok(&["install", "m/1.0"]);
}

#[rstest]
#[case(&["--no-depmod"], true)]
#[case(&[], false)]
fn depmod_does_not_run_where_unwanted(#[case] options: &[&str], #[case] index: bool) {
    let world = World::new();
    if !index {
        fs::remove_file(world.path(format!("/lib/modules/{K}/modules.dep"))).unwrap();
    }
    world.package("m", "1.0");
    world.ok(&[&["install", "m/1.0"], options].concat());
    assert_eq!(world.depmods(K), 0);
}

#[test]
fn depmod_gets_kernels_symbols_and_the_fake_root() {
    let world = World::new();
    world.write(&format!("/boot/System.map-{K}"), "");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let map = world.path(format!("/boot/System.map-{K}"));
    let expected = format!("-a {K} -b {} -F {}", world.root().display(), map.display());
    assert_eq!(world.calls("depmod"), [expected]);
}

#[test]
fn a_failing_pre_install_is_101_unless_forced() {
    let world = World::new();
    world.package("m", "1.0").conf("PRE_INSTALL=pre.sh").script("pre.sh", "exit 7");
    world.dkms(&["install", "m/1.0"]).exits(101).complains("Error! ");
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
    assert!(!world.has(&installed("m.ko")));
    assert_eq!(world.depmods(K), 0);
    world.ok(&["install", "--force", "m/1.0"]).complains("Warning: ");
}

#[test]
fn installation_scripts_run_in_order() {
    let world = World::new();
    let note = "echo \"$1 $module $module_version $kernelver $(ls \"$WHERE\" 2>/dev/null)\" >> \"$DKMS_SCRATCH/notes\"";
    world
        .package("m", "1.0")
        .conf("PRE_INSTALL='note.sh pre'\nPOST_INSTALL='note.sh post'\nPOST_REMOVE='note.sh gone'")
        .script("note.sh", &note.replace("$WHERE", &world.path(installed("")).display().to_string()));
    world.ok(&["install", "m/1.0"]);
    world.ok(&["uninstall", "m/1.0"]);
    let notes = fs::read_to_string(world.scratch("notes")).unwrap();
    assert_eq!(notes, format!("pre m 1.0 {K} \npost m 1.0 {K} m.ko\ngone    \n"));
}

#[test]
fn a_failing_post_install_is_a_warning() {
    let world = World::new();
    world.package("m", "1.0").conf("POST_INSTALL=post.sh").script("post.sh", "exit 7");
    world.ok(&["install", "m/1.0"]).complains("Warning: ").complains("POST_INSTALL");
}

#[test]
fn a_built_module_that_is_gone_is_6() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]);
    fs::remove_file(world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A))).unwrap();
    world.dkms(&["install", "m/1.0"]).exits(6).complains("m.ko");
}

#[test]
fn deleted_file_is_installed_without_a_build() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    fs::remove_file(world.path(installed("m.ko"))).unwrap();
    world.ok(&["install", "m/1.0"]);
    assert!(world.has(&installed("m.ko")));
    assert_eq!(world.calls("make").len(), 1);
}

#[test]
fn modules_are_loaded_for_the_running_kernel_only() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.write("/sys/devices/pci0/modalias", "pci:v1\n").write("/sys/devices/usb/1/modalias", "usb:v2\n");
    world.package("m", "1.0");
    world.ok(&["install", "--modprobe-on-install", "m/1.0", "-k", "6.2"]);
    assert!(world.calls("modprobe").is_empty());
    world.ok(&["install", "--modprobe-on-install", "m/1.0"]);
    assert_eq!(world.calls("modprobe"), ["-a -b -q pci:v1 usb:v2"]);
}

#[test]
fn post_transaction_runs_once_for_each_changed_kernel() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.write(
        "/etc/dkms/framework.conf",
        "post_transaction='echo done $kernelver >> $DKMS_SCRATCH/after'\n",
    );
    world.package("m", "1.0");
    let both = ["-k", K, "-k", "6.2"];
    world.ok(&[&["install", "m/1.0"], &both[..]].concat());
    world.ok(&[&["install", "m/1.0"], &both[..]].concat());
    let after = || fs::read_to_string(world.scratch("after")).unwrap();
    assert_eq!(after(), format!("done {K}\ndone 6.2\n"));
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(after().lines().count(), 4);
    world.ok(&["add", "m/1.0"]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(after().lines().count(), 4);
}

#[test]
fn matching_gives_a_kernel_what_another_one_has() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.package("a", "1.0");
    world.package("b", "1.0").recipe("test $kernelver != 6.2 || exit 1");
    world.package("c", "1.0");
    world.ok(&["install", "a/1.0"]);
    world.ok(&["install", "b/1.0"]);
    world.ok(&["build", "c/1.0"]);
    let ended = world.dkms(&["match", "--templatekernel", K, "-k", "6.2"]);
    ended.exits(10);
    assert_eq!(world.calls("make").len(), 5, "each package is tried once");
    let status = world.status();
    assert!(status.contains(&line("a/1.0", "6.2", "installed")), "{status:#?}");
    assert!(!status.iter().any(|line| line.starts_with("c/1.0, 6.2")), "{status:#?}");
    world.dkms(&["match", "--templatekernel", "6.3", "-k", "6.2"]).exits(0);
    world.dkms(&["match", "--templatekernel", K, "-k", "6.3"]).exits(21);
}

/// Name, content, mode and a note in the extended attributes.
type ModuleFile = (String, Vec<u8>, u32, Option<Vec<u8>>);

/// Every module below a kernel's directory.
fn modules_of_the_kernel(world: &World) -> Vec<ModuleFile> {
    use std::os::unix::fs::PermissionsExt;
    let top = format!("/lib/modules/{K}");
    let names = world.names(&top).into_iter().filter(|name| name.contains(".ko"));
    names
        .map(|name| {
            let path = world.path(format!("{top}/{name}"));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            let note = xattr::get(&path, "user.note").ok().flatten();
            (name, fs::read(path).unwrap(), mode, note)
        })
        .collect()
}

#[rstest]
#[case(&["install 1.0", "install 2.0", "remove 1.0", "remove 2.0"])]
#[case(&["install 1.0", "install 2.0", "remove 2.0", "remove 1.0"])]
#[case(&["install 2.0", "install 1.0", "remove 2.0", "remove 1.0"])]
#[case(&["install 2.0", "install 1.0", "remove 1.0", "remove 2.0"])]
#[case(&["install 1.0", "uninstall 1.0", "install 2.0", "remove 1.0", "remove 2.0"])]
#[case(&["install 1.0", "install 2.0", "install 1.0", "uninstall 1.0", "remove 2.0", "remove 1.0"])]
fn originals_come_back_after_two_versions(#[case] order: &[&str]) {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.kernel(K).module("extra/m.ko", "0.1", "E").module("kernel/drivers/misc/m.ko", "0.2", "K");
    for (path, mode) in [("extra/m.ko", 0o600), ("kernel/drivers/misc/m.ko", 0o444)] {
        let path = world.path(format!("/lib/modules/{K}/{path}"));
        // Not every file system has them.
        let _ = xattr::set(&path, "user.note", path.to_str().unwrap().as_bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = modules_of_the_kernel(&world);
    for version in ["1.0", "2.0"] {
        world.package("m", version);
        world.ok(&["add", &format!("m/{version}")]);
    }
    for step in order {
        let (action, version) = step.split_once(' ').unwrap();
        world.ok(&[action, "--force", &format!("m/{version}")]);
    }
    assert_eq!(modules_of_the_kernel(&world), before);
    assert!(world.tree().is_empty(), "{:?}", world.tree());
}
