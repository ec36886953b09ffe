//! Versions that an upgrade of their package replaced are kept, and step in where the new one does not build.

use crate::preflight::{NEXT, arrive};
use crate::world::{A, Ended, K, World, line, script};
use rstest::rstest;
use std::fs;

pub(crate) const NEW: &str = "6.2.0-1-amd64";
pub(crate) const ONLY_ON_FIRST: &str = "[ $kernelver = 6.1.0-1-amd64 ] || exit 2";
pub(crate) const FAILS: &str = "echo 'm.c:3:1: error: no such thing'; exit 2";
pub(crate) const STORE: &str = "/var/lib/dkms/.replaced";

/// A script of the package m-dkms, as dpkg calls it.
pub(crate) fn maintainer_script(world: &World, name: &str, arguments: &str, line: &str) -> Ended {
    script_of(world, "m-dkms", name, arguments, line)
}

pub(crate) fn script_of(world: &World, package: &str, name: &str, arguments: &str, line: &str) -> Ended {
    let file = world.scratch(&format!("{package}.{name}"));
    script(&file, line);
    let variables = format!("DPKG_MAINTSCRIPT_PACKAGE={package} DPKG_MAINTSCRIPT_NAME={name}");
    world.shell(&format!("{variables} {} {arguments}", file.display()))
}

/// The %preun of an old package, as rpm calls it when the new one is there.
pub(crate) fn preun(world: &World, left: u32, args: &str) -> Ended {
    let file = tempfile::Builder::new().prefix("rpm-tmp.").tempfile_in("/var/tmp").unwrap();
    fs::write(&file, format!("{args}\n")).unwrap();
    world.shell(&format!("sh {} {left}; exit $?", file.path().display()))
}

/// What the script of a package calls when it has come.
pub(crate) fn configure(world: &World, version: &str) -> Ended {
    maintainer_script(world, "postinst", "configure", &format!("$common_postinst m {version} '' '' ''"))
}

/// A package comes: its source, and what its script calls.
pub(crate) fn come(world: &World, version: &str, recipe: &str) -> Ended {
    world.package("m", version).recipe(recipe);
    configure(world, version)
}

/// Its prerm, and then dpkg deletes its files.
pub(crate) fn go(world: &World, version: &str, argument: &str) -> Ended {
    let ended = world.prerm(argument, &["remove", "-m", "m", "-v", version, "--all"]);
    fs::remove_dir_all(world.path(format!("/usr/src/m-{version}"))).unwrap();
    ended
}

pub(crate) fn upgrade(world: &World, from: &str, to: &str, recipe: &str) -> Ended {
    go(world, from, "upgrade").exits(0);
    come(world, to, recipe)
}

/// The versions of m that are kept.
pub(crate) fn kept(world: &World) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(world.path(format!("{STORE}/m")))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// m/1.0 is installed by its package.
pub(crate) fn machine() -> World {
    let world = World::new();
    world.depmod_indexes();
    come(&world, "1.0", "true").exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world
}

#[test]
fn version_before_stays_where_new_one_fails() {
    let world = machine();
    let made = world.calls("make").len();
    let ended = upgrade(&world, "1.0", "2.0", FAILS);
    ended.exits(0).complains("m.c:3:1: error: no such thing");
    ended.complains(&format!(
        "m/2.0 is not installed for kernel {K} ({}); m/1.0, which it replaced, stays in use there.",
        *A
    ));
    ended.is_silent_about("will not work");
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
    // Its build was kept as well: only the new version was compiled.
    assert_eq!(world.calls("make").len(), made + 1);
    world.ok(&["fsck"]);
    world.ok(&["check", "-k", K]).complains("m/1.0 is used, because m/2.0 does not build");
    world.ok(&["autoinstall"]).is_silent_about("Building");
    // On a kernel that comes now, too.
    world.kernel(NEW).headers();
    world.hook("header-postinst", &[NEW]).exits(0);
    assert!(world.status().contains(&line("m/1.0", NEW, "installed")), "{:?}", world.status());
}

#[test]
fn version_that_stepped_in_goes_when_newer_one_works() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", FAILS);
    upgrade(&world, "2.0", "3.0", "true").exits(0);
    assert_eq!(world.status(), [line("m/3.0", K, "installed")]);
    // What never worked is not kept, and what was replaced is.
    assert_eq!(kept(&world), ["1.0"]);
    upgrade(&world, "3.0", "4.0", "true").exits(0);
    assert_eq!(kept(&world), ["3.0"]);
    assert_eq!(world.status(), [line("m/4.0", K, "installed")]);
}

#[rstest]
#[case::after_step_back(FAILS)]
#[case::after_good_upgrade("true")]
fn nothing_is_left_of_package_that_goes(#[case] recipe: &str) {
    let world = machine();
    upgrade(&world, "1.0", "2.0", recipe);
    go(&world, "2.0", "remove").exits(0);
    assert_eq!(world.status(), Vec::<String>::new());
    assert_eq!(kept(&world), Vec::<String>::new());
    assert!(!world.has("/var/lib/dkms/m") && !world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
}

#[test]
fn version_in_use_last_is_kept_after_downgrade() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", "true").exits(0);
    upgrade(&world, "2.0", "1.5", "true").exits(0);
    assert_eq!(kept(&world), ["2.0"]);
    upgrade(&world, "1.5", "3.0", FAILS).exits(0);
    assert_eq!(kept(&world), ["1.5"]);
    assert_eq!(world.status(), [line("m/1.5", K, "installed"), "m/3.0: added".to_owned()]);
}

#[test]
fn rollback_takes_what_upgrade_replaced() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", "true").exits(0);
    let made = world.calls("make").len();
    world.ok(&["rollback", "m"]).says("m/1.0 takes the place of m/2.0");
    assert_eq!(world.calls("make").len(), made);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), line("m/2.0", K, "built")]);
    world.ok(&["autoinstall"]);
    assert!(world.status().contains(&line("m/1.0", K, "installed")));
}

#[test]
fn upgrade_that_is_given_up_leaves_old_version() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    assert_eq!(world.status(), Vec::<String>::new());
    // dpkg unpacks the old one again and calls its postinst with abort-upgrade.
    come(&world, "1.0", "true").exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    let source = fs::read_link(world.path("/var/lib/dkms/m/1.0/source")).unwrap();
    assert_eq!(source, world.path("/usr/src/m-1.0"));
    assert_eq!(kept(&world), Vec::<String>::new());
}

#[rstest]
#[case::none("keep_versions=0\n", &[])]
#[case::two("keep_versions=\"2\"\n", &["1.0", "2.0"])]
#[case::nonsense("keep_versions=many\n", &["2.0"])]
fn number_of_versions_that_are_kept_is_configured(#[case] conf: &str, #[case] expected: &[&str]) {
    let world = machine();
    world.write("/etc/dkms/framework.conf", conf);
    upgrade(&world, "1.0", "2.0", "true").exits(0);
    let ended = upgrade(&world, "2.0", "3.0", "true");
    assert_eq!(ended.stderr.contains("keep_versions in framework.conf is \"many\""), conf.contains("many"));
    assert_eq!(kept(&world), expected);
}

/// A package comes again, or with a new revision of Debian.
#[rstest]
#[case::works("true")]
#[case::fails(FAILS)]
fn same_version_again_takes_nothing_away(#[case] recipe: &str) {
    let world = machine();
    upgrade(&world, "1.0", "2.0", "true").exits(0);
    upgrade(&world, "2.0", "2.0", recipe).exits(0);
    assert_eq!(world.status(), [line("m/2.0", K, "installed")]);
    assert_eq!(kept(&world), ["1.0"]);
    let ended = world.dkms(&["rollback", "m"]);
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{ended:?}");
}

#[test]
fn setting_is_true_of_what_is_kept_already() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", "true").exits(0);
    world.write("/etc/dkms/framework.conf", "keep_versions=0\n");
    upgrade(&world, "2.0", "3.0", FAILS).exits(0);
    assert_eq!(world.status(), ["m/3.0: added"]);
    assert_eq!(kept(&world), Vec::<String>::new());
}

#[test]
fn rpm_keeps_what_it_replaces_as_well() {
    let world = machine();
    world.package("m", "2.0");
    maintainer_script(&world, "postinst", "configure", "dkms install -m m -v 2.0").exits(0);
    go(&world, "1.0", "upgrade").exits(0);
    assert_eq!(world.status(), [line("m/2.0", K, "installed")]);
    world.ok(&["rollback", "m"]).says("m/1.0 takes the place of m/2.0");
}

#[test]
fn version_removed_by_hand_is_not_kept() {
    let world = machine();
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(!world.has(STORE));
    // Neither is what an upgrade kept before.
    come(&world, "1.0", "true");
    upgrade(&world, "1.0", "2.0", "true");
    world.ok(&["remove", "m/2.0", "--all"]);
    assert_eq!(kept(&world), Vec::<String>::new());
}

#[test]
fn version_that_stepped_in_can_be_removed_by_hand() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", FAILS);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(world.status(), ["m/2.0: added"]);
    assert_eq!(kept(&world), Vec::<String>::new());
}

#[rstest]
#[case::in_use(FAILS, &["1.0"])]
#[case::not_needed("true", &[])]
fn another_dkms_gets_what_it_needs(#[case] recipe: &str, #[case] expected: &[&str]) {
    let world = machine();
    upgrade(&world, "1.0", "2.0", recipe);
    let before = world.status();
    world.hook("hand-back", &[]).exits(0);
    assert_eq!(kept(&world), expected);
    assert_eq!(world.has(STORE), !expected.is_empty());
    assert_eq!(world.status(), before);
}

/// Its scripts removed it, and no new version came.
#[test]
fn what_is_forgotten_goes_after_a_month() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.ok(&["autoinstall"]);
    assert_eq!(kept(&world), ["1.0"]);
    world.shell(&format!("touch -d '31 days ago' {}", world.path(format!("{STORE}/m")).display())).exits(0);
    world.ok(&["autoinstall"]);
    assert_eq!(kept(&world), Vec::<String>::new());
}

/// What is kept counts before a kernel comes, as it does then.
#[rstest]
#[case::stepped_in_already(FAILS)]
#[case::fails_on_next_kernel_alone("[ $kernelver = 6.1.0-1-amd64 ] || exit 2")]
fn preflight_knows_what_would_step_in(#[case] recipe: &str) {
    if crate::preflight::machine().is_none() {
        return;
    }
    let world = machine();
    upgrade(&world, "1.0", "2.0", recipe).exits(0);
    let file = crate::preflight::package(&world, NEXT, ".pkg.tar.gz");
    let before = world.status();
    let store = world.names(STORE);
    world.dkms(&["preflight", &file]).exits(0).says("m/1.0").is_silent_about("(the running kernel");
    assert_eq!((world.status(), world.names(STORE)), (before, store));
    let made = world.calls("make").len();
    arrive(&world, NEXT);
    world.hook("header-postinst", &[NEXT]).exits(0);
    assert!(world.status().contains(&line("m/1.0", NEXT, "installed")), "{:?}", world.status());
    // Only the new version is tried again.
    assert_eq!(world.calls("make").len(), made + 1);
}

/// Each kernel has another version that stepped in.
#[test]
fn every_version_that_stepped_in_goes_with_its_package() {
    let world = machine();
    world.kernel(NEW).headers();
    upgrade(&world, "1.0", "2.0", "[ $kernelver = 6.2.0-1-amd64 ] || exit 2");
    world.ok(&["autoinstall", "-k", NEW]);
    upgrade(&world, "2.0", "3.0", FAILS);
    world.dkms(&["autoinstall", "-k", NEW]);
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
    assert!(world.status().contains(&line("m/2.0", NEW, "installed")), "{:?}", world.status());
    go(&world, "3.0", "remove").exits(0);
    assert_eq!(world.status(), Vec::<String>::new());
    assert_eq!(kept(&world), Vec::<String>::new());
}

#[test]
fn source_in_use_stays_where_the_tree_was_moved() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", FAILS);
    let tree = world.path("/var/lib/dkms");
    let elsewhere = world.path("/srv/dkms");
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    fs::rename(&tree, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &tree).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!(kept(&world), ["1.0"]);
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
}

/// By hand the failure is what a person wants to see.
#[test]
fn build_by_hand_brings_nothing_back() {
    let world = machine();
    go(&world, "1.0", "upgrade");
    world.package("m", "2.0").recipe(FAILS);
    world.dkms(&["install", "m/2.0"]).exits(10);
    assert_eq!(world.status(), ["m/2.0: added"]);
    // What runs for everything helps.
    world.ok(&["autoinstall", "--force"]).complains("m/1.0 is used there");
    assert!(world.status().contains(&line("m/1.0", K, "installed")));
}

/// Packages whose scripts call dkms themselves get the failure, and their users the version before.
#[rstest]
#[case::install("dkms install -m m -v 2.0")]
#[case::build("dkms build -m m -v 2.0 && dkms install -m m -v 2.0")]
fn script_that_calls_dkms_itself_fails_as_before(#[case] line_: &str) {
    let world = machine();
    go(&world, "1.0", "upgrade");
    world.package("m", "2.0").recipe(FAILS);
    maintainer_script(&world, "postinst", "configure", line_).exits(10).complains("stays in use there");
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
}

/// rpm configures the new version before it removes the old one.
#[test]
fn old_version_stays_registered_where_rpm_removes_it() {
    let world = machine();
    world.package("m", "2.0").recipe(FAILS);
    maintainer_script(&world, "postinst", "configure", "dkms install -m m -v 2.0").exits(10);
    assert!(world.status().contains(&line("m/1.0", K, "installed")));
    let ended = preun(&world, 1, "dkms remove -m m -v 1.0 --all --rpm_safe_upgrade");
    ended.exits(0).complains("m/1.0, which it replaced, stays in use there");
    fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
    preun(&world, 0, "dkms remove -m m -v 2.0 --all").exits(0);
    assert_eq!((world.status(), kept(&world)), (Vec::new(), Vec::new()));
}

#[test]
fn disk_without_room_refuses_no_upgrade() {
    let world = machine();
    world.write(STORE, "in the way");
    let ended = upgrade(&world, "1.0", "2.0", "true");
    ended.exits(0);
    assert_eq!(world.status(), [line("m/2.0", K, "installed")]);
}

#[test]
fn package_goes_although_its_version_went_before() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", FAILS).exits(0);
    world.ok(&["remove", "m/2.0", "--all"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    go(&world, "2.0", "remove").exits(3);
    assert_eq!(world.status(), Vec::<String>::new());
    assert_eq!(kept(&world), Vec::<String>::new());
    assert!(!world.has("/var/lib/dkms/m") && !world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
}

/// The scripts of the old version do nothing when dpkg says abort-upgrade.
#[test]
fn upgrade_that_was_given_up_is_seen_at_boot() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.package("m", "1.0").recipe("true");
    let made = world.calls("make").len();
    world.hook("boot", &[]).exits(0).complains("m/1.0 is registered again");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    let source = fs::read_link(world.path("/var/lib/dkms/m/1.0/source")).unwrap();
    assert_eq!(source, world.path("/usr/src/m-1.0"));
    assert_eq!((kept(&world), world.calls("make").len()), (Vec::new(), made));
}

/// The scripts of packages call them, and fail where they fail.
#[rstest]
#[case::add("dkms add m/1.0")]
#[case::add_and_install("dkms add m/1.0 && dkms install m/1.0")]
#[case::install("dkms install m/1.0")]
#[case::directory("dkms add $DKMS_ROOT/usr/src/m-1.0")]
fn version_that_stepped_in_can_be_added_by_itself(#[case] line_: &str) {
    let world = machine();
    upgrade(&world, "1.0", "2.0", FAILS);
    fs::remove_dir_all(world.path("/usr/src/m-2.0")).unwrap();
    world.prerm("upgrade", &["remove", "-m", "m", "-v", "2.0", "--all"]).exits(0);
    world.package("m", "1.0");
    maintainer_script(&world, "postinst", "configure", line_).exits(0);
    let source = fs::read_link(world.path("/var/lib/dkms/m/1.0/source")).unwrap();
    assert_eq!(source, world.path("/usr/src/m-1.0"));
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.ok(&["autoinstall"]);
    assert_eq!(kept(&world), Vec::<String>::new());
    world.dkms(&["add", "m/1.0"]).exits(3);
}

/// One kernel after the other, as the scripts of some packages do.
#[test]
fn builds_of_all_kernels_are_kept() {
    let world = machine();
    world.kernel(NEW).headers();
    world.ok(&["autoinstall", "-k", NEW]);
    for kernel in [K, NEW] {
        world.prerm("upgrade", &["remove", "-m", "m", "-v", "1.0", "-k", kernel]).exits(0);
    }
    fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
    world.package("m", "2.0").recipe(FAILS);
    world.ok(&["add", "m/2.0"]);
    let made = world.calls("make").len();
    for kernel in [K, NEW] {
        world.ok(&["autoinstall", "-k", kernel]);
        assert!(world.status().contains(&line("m/1.0", kernel, "installed")), "{:?}", world.status());
    }
    // Only the new version was compiled.
    assert_eq!(world.calls("make").len(), made + 2);
}

/// A person has a version of their own, which is none of the package's business.
#[test]
fn own_older_version_takes_no_place() {
    let world = World::new();
    world.depmod_indexes();
    world.package("m", "0.9");
    world.ok(&["add", "m/0.9"]);
    come(&world, "1.0", "true").exits(0);
    upgrade(&world, "1.0", "2.0", FAILS).exits(0);
    let installed = line("m/1.0", K, "installed");
    let expected = ["m/0.9: added".to_owned(), installed.clone(), "m/2.0: added".into()];
    assert_eq!(world.status(), expected);
    world.ok(&["autoinstall"]);
    assert_eq!(world.status(), expected);
    upgrade(&world, "2.0", "2.1", "true").exits(0);
    world.ok(&["rollback", "m"]);
    world.ok(&["autoinstall"]);
    assert!(world.status().contains(&installed), "{:?}", world.status());
    go(&world, "2.1", "remove").exits(0);
    assert_eq!(world.status(), ["m/0.9: added"]);
    assert_eq!(kept(&world), Vec::<String>::new());
}

/// Scripts that remove whatever is registered.
#[test]
fn nothing_comes_back_while_a_prerm_removes_it() {
    let world = World::new();
    world.depmod_indexes();
    world.package("m", "0.9");
    world.ok(&["add", "m/0.9"]);
    come(&world, "1.0", "true").exits(0);
    upgrade(&world, "1.0", "2.0", FAILS).exits(0);
    let all = "for v in 2.0 1.0 0.9; do dkms remove -m m -v $v --all; dkms status -m m; done";
    maintainer_script(&world, "prerm", "upgrade", all).exits(0).is_silent_about("registered again");
    assert_eq!(world.status(), Vec::<String>::new());
    come(&world, "3.0", FAILS).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/3.0: added".to_owned()]);
}

/// Its driver comes with another package now.
#[test]
fn what_went_in_favour_of_another_package_stays_away() {
    let world = machine();
    let in_favour = "remove in-favour other-dkms 3";
    maintainer_script(&world, "prerm", in_favour, "dkms remove -m m -v 1.0 --all").exits(0);
    world.hook("boot", &[]).exits(0);
    world.ok(&["autoinstall"]);
    assert_eq!(world.status(), Vec::<String>::new());
    // Neither does what stood in.
    come(&world, "1.0", "true").exits(0);
    upgrade(&world, "1.0", "2.0", FAILS).exits(0);
    maintainer_script(&world, "prerm", in_favour, "dkms remove -m m -v 2.0 --all").exits(0);
    assert_eq!(world.status(), Vec::<String>::new());
    world.hook("boot", &[]).exits(0);
    assert_eq!(world.status(), Vec::<String>::new());
    // It has the same one.
    come(&world, "2.0", FAILS).exits(0).complains("m/1.0, which it replaced, stays in use there");
}

/// They remove their own version first, and may run twice.
#[test]
fn configuration_that_removes_first_keeps_what_is_kept() {
    let world = machine();
    go(&world, "1.0", "upgrade").exits(0);
    world.package("m", "2.0").recipe(FAILS);
    let again = "dkms remove -m m -v 2.0 --all; dkms add -m m -v 2.0 && dkms install -m m -v 2.0";
    for _ in 0..2 {
        maintainer_script(&world, "postinst", "configure", again).exits(10);
        assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
    }
}

/// dpkg leaves a directory in which a person has files.
#[test]
fn rest_of_source_is_no_source() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", "true").exits(0);
    world.write("/usr/src/m-1.0/notes", "mine");
    world.ok(&["rollback", "m"]).says("m/1.0 takes the place of m/2.0");
    world.ok(&["install", "m/1.0"]);
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
}

/// Given by hand, a directory is the version from now on.
#[test]
fn directory_replaces_version_that_stepped_in() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", FAILS).exits(0);
    let dir = world.scratch("mine");
    world.package_in(&dir, "m", "1.0").recipe("echo mine >> m.ko.in");
    world.ok(&["install", dir.to_str().unwrap(), "--force"]);
    let module = fs::read(world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"))).unwrap();
    assert!(module.ends_with(b"mine\n"));
    let source = fs::read_link(world.path("/var/lib/dkms/m/1.0/source")).unwrap();
    assert_eq!(source, world.path("/usr/src/m-1.0"));
}

/// Scripts of a kernel remove what is built for it.
#[test]
fn removal_for_one_kernel_leaves_the_others_alone() {
    let world = machine();
    world.kernel(NEW).headers();
    world.ok(&["autoinstall", "-k", NEW]);
    upgrade(&world, "1.0", "2.0", ONLY_ON_FIRST).exits(0);
    world.ok(&["autoinstall", "-k", NEW]);
    let kernel = format!("linux-image-{K}");
    script_of(&world, &kernel, "prerm", "remove", &format!("dkms remove m/2.0 -k {K}")).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "built"), line("m/1.0", NEW, "installed")]);
    // The package's own scripts may go from kernel to kernel, too.
    come(&world, "3.0", "true").exits(0);
    world.prerm("remove", &["remove", "-m", "m", "-v", "3.0", "-k", K]).exits(0);
    assert_eq!((world.status(), kept(&world)), (Vec::new(), Vec::new()));
}

/// It was removed long ago, and its rest is purged.
#[test]
fn older_package_of_the_name_takes_nothing_with_it() {
    let world = machine();
    upgrade(&world, "1.0", "2.0", FAILS).exits(0);
    world.prerm("remove", &["remove", "-m", "m", "-v", "0.5", "--all"]).exits(3);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".to_owned()]);
    assert_eq!(kept(&world), ["1.0"]);
}

/// rpm removes the higher version when the lower one is built and was refused its place.
#[test]
fn downgrade_with_rpm_installs_what_it_brought() {
    let world = World::new();
    world.depmod_indexes();
    come(&world, "2.0", "true").exits(0);
    world.package("m", "1.0").recipe("true");
    maintainer_script(&world, "postinst", "configure", "dkms install -m m -v 1.0");
    let ended = preun(&world, 1, "dkms remove -m m -v 2.0 --all");
    ended.exits(0).is_silent_about("stays in use");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}
