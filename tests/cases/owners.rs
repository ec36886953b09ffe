//! What a machine's owner, another package or a script did on purpose stays, whichever program runs next.

use crate::world::{A, K, World, elf, line, write};
use rstest::rstest;
use std::fs;
use std::path::PathBuf;

const OURS: &str = "updates/dkms/m.ko";

fn place(world: &World, name: &str) -> PathBuf {
    world.path(format!("/lib/modules/{K}/{name}"))
}

/// A signature as sign-file appends it; no kernel would believe it.
fn signature() -> Vec<u8> {
    [
        b"SIGNATURE".as_slice(),
        &[0, 0, 2, 0, 0, 0, 0, 0],
        &9_u32.to_be_bytes(),
        b"~Module signature appended~\n",
    ]
    .concat()
}

fn makes(world: &World) -> usize {
    world.calls("make").len()
}

/// Everything that could come next on a machine, once.
const CALLERS: [&str; 5] = ["autoinstall", "hook", "image", "boot", "install"];

fn call(world: &World, caller: &str) {
    match caller {
        "autoinstall" => world.ok(&["autoinstall"]),
        "hook" => world.hook("kernel-postinst", &[K]),
        "image" => world.hook("initramfs", &[K]),
        "boot" => world.hook("boot", &[]),
        _ => world.ok(&["install", "m/1.0"]),
    }
    .exits(0);
}

/// No caller changes a file below /lib/modules, compiles, or indexes.
fn all_callers_leave_it_alone(world: &World) {
    let modules = |world: &World| {
        let mut all = world.everything();
        all.retain(|path, _| path.contains("lib/modules"));
        all
    };
    let (before, made, indexed) = (modules(world), makes(world), world.depmods(K));
    for caller in CALLERS {
        call(world, caller);
        let after = modules(world);
        let changed: Vec<&String> =
            after.keys().chain(before.keys()).filter(|path| after.get(*path) != before.get(*path)).collect();
        assert!(changed.is_empty(), "{caller} changed {changed:?}");
        assert_eq!((makes(world), world.depmods(K)), (made, indexed), "{caller}");
    }
}

/// depmod(8), as far as `check` reads what it writes.
fn with_index(world: &World) {
    let dir = world.path(format!("/lib/modules/{K}"));
    let body = format!(
        "cd {} && find updates kernel -name '*.ko*' 2>/dev/null | sed 's/$/:/' > modules.dep; true",
        dir.display()
    );
    world.tool_does("depmod", &body);
}

fn installed() -> World {
    let world = World::new();
    with_index(&world);
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world
}

#[rstest]
#[case::by_hand(false)]
#[case::twice(true)]
fn module_signed_afterwards_stays_signed(#[case] twice: bool) {
    let world = installed();
    let path = place(&world, OURS);
    let mut signed = [fs::read(&path).unwrap(), signature()].concat();
    if twice {
        signed.extend(signature());
    }
    write(&path, &signed);
    all_callers_leave_it_alone(&world);
    assert_eq!(fs::read(&path).unwrap(), signed);
    world.ok(&["check"]).says("complete, 1 package");
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(!path.exists() && !place(&world, "updates/dkms/m.ko.changed").exists());
}

#[test]
fn module_signed_by_a_postinst_hook_stays_signed() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.hook("kernel-postinst", &[K]).exits(0);
    let path = place(&world, OURS);
    // The hook of the administrator runs after ours, before and after the image is made.
    let signed = [fs::read(&path).unwrap(), signature()].concat();
    write(&path, &signed);
    world.hook("initramfs", &[K]).exits(0);
    assert_eq!(fs::read(&path).unwrap(), signed);
    all_callers_leave_it_alone(&world);
}

#[test]
fn module_whose_signature_was_taken_off_stays_so() {
    let mut world = World::new();
    world.kernel(K).config("CONFIG_MODULE_SIG_HASH=\"sha256\"\n").sign_file();
    world.signing_keys("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub");
    world.set("try_sign_modules", "true");
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let path = place(&world, OURS);
    assert_ne!(fs::read(&path).unwrap(), package.built("m"));
    write(&path, &package.built("m"));
    all_callers_leave_it_alone(&world);
}

#[rstest]
#[case("gz")]
#[case("xz")]
#[case("zst")]
fn module_packed_by_hand_is_intact(#[case] form: &str) {
    let world = World::new();
    world.kernel(K).compressed(form);
    let package = world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let path = place(&world, &format!("{OURS}.{form}"));
    // The same module, signed and packed again.
    let signed = [package.built("m"), signature()].concat();
    write(&path, &crate::world::pack(&signed, &format!(".{form}")));
    all_callers_leave_it_alone(&world);
}

#[test]
fn force_installs_built_module_over_a_signed_one() {
    let world = installed();
    let path = place(&world, OURS);
    let whole = fs::read(&path).unwrap();
    write(&path, &[whole.clone(), signature()].concat());
    world.ok(&["install", "m/1.0", "--force"]);
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[rstest]
#[case::post_build_changes_the_result(
    "POST_BUILD",
    "printf changed >> \"$dkms_tree_for_test/m/1.0/$kernelver/$arch/module/m.ko\""
)]
#[case::post_install_signs(
    "POST_INSTALL",
    "printf 'more' >> \"$install_tree_for_test/$kernelver/updates/dkms/m.ko\""
)]
#[case::post_install_logs("POST_INSTALL", "date >> log")]
#[case::pre_install_logs("PRE_INSTALL", "date >> log")]
#[case::pre_build_logs("PRE_BUILD", "date >> ../../../../../../usr/src/m-1.0/log; date >> log")]
fn script_that_writes_is_no_change(#[case] directive: &str, #[case] body: &str) {
    let mut world = World::new();
    with_index(&world);
    world.kernel(K).headers().config("CONFIG_MODULES=y\n");
    let (tree, modules) = (world.path("/var/lib/dkms"), world.path("/lib/modules"));
    world
        .set("dkms_tree_for_test", tree.to_str().unwrap())
        .set("install_tree_for_test", modules.to_str().unwrap());
    world.package("m", "1.0").script("write", body).conf(&format!("{directive}=write"));
    world.ok(&["install", "m/1.0"]);
    all_callers_leave_it_alone(&world);
    assert_eq!(makes(&world), 1);
    world.ok(&["check"]).says("complete");
}

#[test]
fn build_that_writes_into_its_source_changes_nothing() {
    let world = World::new();
    const OTHER: &str = "6.2.0-1-amd64";
    for release in [K, OTHER] {
        world.kernel(release).headers().config("CONFIG_MODULES=y\n");
    }
    let source = world.path("/usr/src/m-1.0");
    let recipe = format!("date +%N > {0}/built; cp {0}/m.ko.in {0}/m.ko; cp {0}/m.ko m.ko", source.display());
    world.package("m", "1.0").recipe(&recipe);
    world.ok(&["install", "m/1.0", "-k", K, "-k", OTHER]);
    assert!(!source.join("m.ko").exists(), "{:?}", world.names("/usr/src"));
    for release in [K, OTHER] {
        world.ok(&["autoinstall", "-k", release]);
    }
    assert_eq!(makes(&world), 2);
}

/// `m` and `other` both install m.ko; `other` is newer and came second.
fn two_owners() -> World {
    let world = World::new();
    with_index(&world);
    world.kernel(K).headers().config("CONFIG_MODULES=y\n");
    world.package("m", "1.0");
    world
        .package("other", "2.0")
        .whole_conf("PACKAGE_NAME=other\nPACKAGE_VERSION=2.0\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\nAUTOINSTALL=yes\n")
        .without("other.ko.in")
        .module_of("m", "2.0", "OTHER");
    world.ok(&["install", "m/1.0"]);
    world.dkms(&["install", "other/2.0"]).exits(0).complains("of m/1.0 is replaced by that of other/2.0");
    world
}

fn version(world: &World) -> Option<String> {
    let content = fs::read(place(world, OURS)).ok()?;
    let text = String::from_utf8_lossy(&content).into_owned();
    ["version=1.0", "version=2.0", "version=0.9"]
        .into_iter()
        .find(|version| text.contains(version))
        .map(str::to_owned)
}

fn no_leftovers(world: &World) {
    let names = world.names(&format!("/lib/modules/{K}"));
    assert!(!names.iter().any(|name| name.contains(".changed")), "{names:#?}");
}

#[test]
fn two_packages_with_one_file_do_not_alternate() {
    let world = two_owners();
    all_callers_leave_it_alone(&world);
    for _ in 0..3 {
        world.ok(&["autoinstall"]);
        assert_eq!(version(&world).as_deref(), Some("version=2.0"));
    }
    no_leftovers(&world);
    let status = world.status();
    for (package, end) in [("m/1.0", "installed"), ("other/2.0", "installed")] {
        assert!(status.iter().any(|found| found.starts_with(&line(package, K, end))), "{status:?}");
    }
    world.ok(&["check"]).says("complete");
}

#[test]
fn autoinstall_of_two_owners_is_stable() {
    let world = World::new();
    world.kernel(K).headers();
    world.package("m", "1.0");
    world
        .package("other", "2.0")
        .whole_conf("PACKAGE_NAME=other\nPACKAGE_VERSION=2.0\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\nAUTOINSTALL=yes\n")
        .without("other.ko.in")
        .module_of("m", "2.0", "OTHER");
    world.ok(&["add", "m/1.0"]);
    world.ok(&["add", "other/2.0"]);
    world.ok(&["autoinstall"]);
    let (first, made, indexed) = (version(&world), makes(&world), world.depmods(K));
    for _ in 0..3 {
        world.ok(&["autoinstall"]);
        assert_eq!((version(&world), makes(&world), world.depmods(K)), (first.clone(), made, indexed));
    }
    no_leftovers(&world);
}

#[test]
fn second_owner_leaves_first_gets_its_file_back() {
    let world = two_owners();
    world.ok(&["remove", "other/2.0", "--all"]);
    assert_eq!(version(&world).as_deref(), Some("version=1.0"));
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    no_leftovers(&world);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(version(&world), None);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn first_owner_leaves_second_keeps_its_file() {
    let world = two_owners();
    world.ok(&["remove", "m/1.0", "--all"]).says("stays: it is the module of other/2.0");
    assert_eq!(version(&world).as_deref(), Some("version=2.0"));
    world.ok(&["check"]).says("complete");
    world.ok(&["remove", "other/2.0", "--all"]);
    assert_eq!(version(&world), None);
    no_leftovers(&world);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[rstest]
#[case(&["m/1.0", "other/2.0"])]
#[case(&["other/2.0", "m/1.0"])]
fn kernel_has_its_module_back_after_two_owners(#[case] order: &[&str]) {
    let world = World::new();
    world.kernel(K).headers().module("kernel/drivers/misc/m.ko", "0.9", "KERNEL");
    let own = fs::read(place(&world, "kernel/drivers/misc/m.ko")).unwrap();
    world.package("m", "1.0");
    world
        .package("other", "2.0")
        .whole_conf(
            "PACKAGE_NAME=other\nPACKAGE_VERSION=2.0\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\n",
        )
        .without("other.ko.in")
        .module_of("m", "2.0", "OTHER");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["install", "other/2.0"]);
    for package in order {
        world.ok(&["remove", package, "--all"]);
    }
    assert_eq!(fs::read(place(&world, "kernel/drivers/misc/m.ko")).unwrap(), own);
    assert_eq!(version(&world), None);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn refused_module_names_the_package_that_has_it() {
    let world = two_owners();
    world
        .package("third", "1.5")
        .whole_conf(
            "PACKAGE_NAME=third\nPACKAGE_VERSION=1.5\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\n",
        )
        .without("third.ko.in")
        .module_of("m", "1.5", "THIRD");
    world.dkms(&["install", "third/1.5"]).exits(6).complains("which other/2.0 has installed");
    assert_eq!(version(&world).as_deref(), Some("version=2.0"));
}

#[rstest]
#[case::newer("3.0", "KERNEL")]
#[case::same("1.0", "SRCm1.0")]
fn kernel_that_has_the_module_is_satisfied(#[case] kernels: &str, #[case] source: &str) {
    let world = World::new();
    world.kernel(K).headers().config("CONFIG_MODULES=y\n").module(
        "kernel/drivers/misc/m.ko",
        kernels,
        source,
    );
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let first = world.ok(&["autoinstall"]);
    first
        .complains("m/1.0: m is not installed")
        .is_silent_about("Error!")
        .is_silent_about("could not be built");
    let (made, indexed) = (makes(&world), world.depmods(K));
    for caller in &CALLERS[..4] {
        call(&world, caller);
    }
    world
        .hook("kernel-postinst", &[K])
        .exits(0)
        .is_silent_about("could not be built")
        .is_silent_about("unfinished");
    world.ok(&["autoinstall"]).is_silent_about("is not installed").is_silent_about("unfinished");
    assert_eq!((makes(&world), world.depmods(K)), (made, indexed));
    world.ok(&["check"]).says("complete");
    assert!(!world.has("/var/lib/dkms/.dkms-intents.json"));
    // By hand it is what it always was.
    world.dkms(&["install", "m/1.0"]).exits(6).complains("You may override by specifying --force.");
    assert!(!world.has("/var/lib/dkms/.dkms-intents.json"));
}

#[test]
fn pre_build_that_declines_is_always_skipped() {
    let world = World::new();
    world.kernel(K).headers().config("CONFIG_MODULES=y\n");
    world.package("m", "1.0").script("decline", "exit 77").conf("PRE_BUILD=decline");
    world.ok(&["add", "m/1.0"]);
    for _ in 0..3 {
        world.ok(&["autoinstall"]).says("was skipped for module(s) m.");
        world.hook("boot", &[]).exits(0).is_silent_about("could not be built");
    }
    world.dkms(&["build", "m/1.0"]).exits(77);
}

#[rstest]
#[case::file("/etc/hostname")]
#[case::dots("/lib/modules/../../etc/hostname")]
#[case::no_module("/lib/modules/6.1.0-1-amd64/modules.dep")]
fn record_that_names_another_file_is_not_believed(#[case] victim: &str) {
    let world = installed();
    world.write("/etc/hostname", "host\n");
    let before = world.read("/etc/hostname");
    let record = format!("/var/lib/dkms/m/1.0/{K}/{}/.dkms-install.json", *A);
    let mut json: serde_json::Value = serde_json::from_str(&world.read(&record)).unwrap();
    let path = format!("{}{victim}", world.root().display());
    json["files"][0]["path"] = path.clone().into();
    json["originals"] = serde_json::json!([{
        "origin": format!("{}/lib/modules/{K}/kernel/x.ko", world.root().display()),
        "stored": format!("{}/etc/hostname", world.root().display()), "size": 5, "sha256": ""
    }]);
    world.write(&record, json.to_string());
    world.dkms(&["uninstall", "m/1.0"]);
    assert_eq!(world.read("/etc/hostname"), before);
    assert!(world.path(format!("/lib/modules/{K}/modules.dep")).exists());
}

#[test]
fn module_of_owners_own_is_left_and_named() {
    let world = installed();
    let theirs = elf::versioned("m", "7", "THEIRS");
    write(&place(&world, OURS), &theirs);
    all_callers_leave_it_alone(&world);
    assert_eq!(fs::read(place(&world, OURS)).unwrap(), theirs);
    world.dkms(&["check"]).exits(1).says("a module that dkms did not install");
}

#[rstest]
#[case::text(b"torn".to_vec())]
#[case::empty(Vec::new())]
fn damaged_module_is_repaired(#[case] content: Vec<u8>) {
    let world = installed();
    let whole = fs::read(place(&world, OURS)).unwrap();
    for content in [content, whole[..whole.len() - 7].to_vec()] {
        write(&place(&world, OURS), &content);
        world.ok(&["autoinstall"]);
        assert_eq!(fs::read(place(&world, OURS)).unwrap(), whole);
    }
}

#[test]
fn depmod_that_leaves_an_empty_index_rolls_back() {
    let world = World::new();
    world.package("m", "1.0");
    let index = format!("/lib/modules/{K}/modules.dep");
    let before = world.read(&index);
    let file = world.path(&index);
    for (body, why) in [
        (format!("rm {0}; : > {0}; exit 1", file.display()), "exit status 1"),
        (format!("rm {0}; : > {0}", file.display()), "is the disk full"),
    ] {
        world.tool_does("depmod", &body);
        world.dkms(&["install", "m/1.0"]).exits(6).complains(why);
        assert_eq!(world.read(&index), before);
        assert!(!world.has(&format!("/lib/modules/{K}/.dkms-index")));
    }
}

/// A guide for Secure Boot may sign what was built, before it is installed.
#[rstest]
#[case::before_it_is_installed(false)]
#[case::after_it_was_installed(true)]
fn built_module_signed_by_hand_is_not_damage(#[case] installed: bool) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&[if installed { "install" } else { "build" }, "m/1.0"]);
    let built = world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A));
    let signed = [fs::read(&built).unwrap(), signature()].concat();
    fs::write(&built, &signed).unwrap();
    world.ok(&["install", "m/1.0"]);
    all_callers_leave_it_alone(&world);
    assert_eq!(fs::read(&built).unwrap(), signed);
    assert_eq!(makes(&world), 1);
    // Damage is still damage.
    let mut content = signed;
    content[20] ^= 1;
    fs::write(&built, content).unwrap();
    fs::remove_file(place(&world, OURS)).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 2);
}
