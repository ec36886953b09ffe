//! Packages, paths and kernels as people type them.

use crate::world::{K, World, line};
use rstest::rstest;

const OTHER: &str = "6.2.0-1-amd64";

#[test]
fn only_version_of_a_name_is_taken() {
    let world = World::new();
    world.package("m", "1.0");
    world.dkms(&["install", "m"]).exits(1);
    world.ok(&["add", "m/1.0"]);
    world.ok(&["install", "m"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

/// A script's variable may be empty.
#[rstest]
#[case(&["-m", "m"])]
#[case(&["-m", "m", "-v", ""])]
fn option_without_its_version_is_an_error(#[case] words: &[&str]) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let before = world.everything();
    for action in ["build", "install", "uninstall", "unbuild", "remove"] {
        world.dkms(&[&[action], words].concat()).exits(1);
    }
    assert_eq!(world.everything(), before);
}

#[test]
fn newest_of_several_versions_is_installed_and_said() {
    let world = World::new();
    for version in ["1.9", "1.10"] {
        world.package("m", version);
        world.ok(&["add", &format!("m/{version}")]);
    }
    world.ok(&["build", "m"]).complains("Registered: m/1.10, m/1.9. Taking m/1.10.");
    world.ok(&["conf", "m"]).says("1.10");
}

#[rstest]
#[case("uninstall")]
#[case("unbuild")]
#[case("remove")]
fn removal_by_name_names_the_versions(#[case] action: &str) {
    let world = World::new();
    for version in ["1.0", "2.0"] {
        world.package("m", version);
        world.ok(&["install", &format!("m/{version}")]);
    }
    let before = world.everything();
    world.dkms(&[action, "m"]).exits(1).complains("Registered: m/2.0, m/1.0");
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case("/no/such/dir")]
#[case("./gone")]
#[case("../gone/dkms.conf")]
#[case("~/hello")]
fn path_that_does_not_exist_is_called_that(#[case] path: &str) {
    let world = World::new();
    for action in ["add", "build", "install"] {
        world.dkms(&[action, path]).exits(1).complains(&format!("The path {path} does not exist."));
    }
}

#[test]
fn directory_without_a_conf_is_called_that() {
    let world = World::new();
    let dir = world.path("/usr/src").display().to_string();
    world.dkms(&["install", &dir]).exits(1).complains("holds no dkms.conf");
}

#[test]
fn unknown_kernel_is_answered_with_known_ones() {
    let world = World::new();
    world.kernel(OTHER).headers();
    world.package("m", "1.0");
    let ended = world.dkms(&["install", "m/1.0", "-k", "6.1.0-1-amd46"]);
    ended.complains("Did you mean 6.1.0-1-amd64?").complains(&format!("{K} (running), {OTHER}."));
    assert_ne!(ended.code, Some(0));
}

#[rstest]
#[case::debian("ID=debian\n", "apt install linux-headers-6.1.0-1-amd64")]
#[case::fedora("ID=fedora\n", "dnf install kernel-devel-6.1.0-1-amd64")]
#[case::opensuse("ID=opensuse-leap\nID_LIKE='suse opensuse'\n", "zypper install kernel-amd64-devel=6.1.0-1")]
fn missing_headers_are_named_as_the_distribution_does(#[case] os_release: &str, #[case] command: &str) {
    let world = World::new();
    world.write("/etc/os-release", os_release);
    std::fs::remove_dir_all(world.path(format!("/lib/modules/{K}/build"))).unwrap();
    world.package("m", "1.0");
    world.dkms(&["build", "m/1.0"]).exits(21).complains(&format!("To install them: {command}"));
}

#[rstest]
#[case::version("m/2.0", "Registered: m/1.0")]
#[case::name("mm/1.0", "Did you mean m?")]
fn unknown_package_is_answered_with_registered_ones(#[case] package: &str, #[case] hint: &str) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.dkms(&["remove", package, "--all"]).exits(3).complains(hint);
}

#[rstest]
#[case("helo", 1)]
#[case("helo/0.1", 2)]
fn mistyped_package_gets_a_suggestion(#[case] package: &str, #[case] code: i32) {
    let world = World::new();
    world.package("hello", "0.1");
    world.ok(&["add", "hello/0.1"]);
    world.dkms(&["install", package]).exits(code).complains("Did you mean hello?");
}

#[test]
fn directory_of_an_added_package_is_built() {
    let world = World::new();
    let package = world.package_in(&world.path("/home/work"), "m", "1.0");
    let dir = world.path("/home/work").display().to_string();
    world.ok(&["add", &dir]);
    world.ok(&["build", &dir]);
    world.ok(&["build", &dir]).says("already built");
    let source = world.path("/usr/src/m-1.0").display().to_string();
    world.ok(&["build", "--force", &source]);
    package.file("m.c", "int edited;");
    world.dkms(&["build", &dir]).exits(3).complains("DKMS tree already contains");
    world.ok(&["build", "--force", &dir]).says("Copied");
    world.dkms(&["add", &dir]).exits(3);
    // Installers of drivers know the status of a package that is there.
    world.dkms(&["install", &dir]).exits(3);
}

#[rstest]
#[case::install("install", Some("Try: dkms install hello/0.10"))]
#[case::add("add", Some("Try: dkms add hello/0.10"))]
#[case::remove("remove", None)]
fn source_that_is_not_registered_is_suggested(#[case] action: &str, #[case] expected: Option<&str>) {
    let world = World::new();
    world.package("hello", "0.9");
    world.package("hello", "0.10");
    world.package("hello-world", "1.0");
    let ended = world.dkms(&[action, "hello"]);
    ended.exits(1).complains("No package hello is registered.");
    match expected {
        Some(text) => ended.complains(text),
        None => ended.is_silent_about("Try:"),
    };
    let command = ended.stderr.lines().find_map(|line| line.strip_prefix("Try: dkms "));
    if let Some(line) = command {
        world.ok(&line.split(' ').collect::<Vec<_>>());
    }
}

#[rstest]
#[case::other_word("list", Some("Did you mean status?"))]
#[case::removal("rm", Some("Did you mean remove?"))]
#[case::letter_case("INSTALL", Some("Did you mean install?"))]
#[case::option("--forse", Some("Did you mean --force?"))]
#[case::one_letter("-n", None)]
#[case::nothing_like_it("frobnicate", None)]
fn unknown_word_is_answered_with_its_like(#[case] word: &str, #[case] expected: Option<&str>) {
    let world = World::new();
    let ended = world.dkms(&[word]);
    ended.exits(2);
    match expected {
        Some(text) => ended.complains(text),
        None => ended.is_silent_about("Did you mean"),
    };
}

#[test]
fn header_package_is_not_offered_for_mistyped_kernel() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let mistyped = K.replace("amd64", "amd46");
    let ended = world.dkms(&["install", "m/1.0", "-k", &mistyped]);
    ended.exits(21);
    ended.complains(&format!("Your kernel headers for kernel {mistyped} cannot be found at "));
    ended.complains(&format!("Did you mean {K}?")).is_silent_about("linux-headers-");
    let ended = world.dkms(&["install", "m/1.0", "-k", &mistyped, "-k", "9.9"]);
    ended.exits(21).is_silent_about("linux-headers-");
}

#[test]
fn format_without_value_is_an_error() {
    let world = World::new();
    for action in ["status", "check", "history", "autoinstall"] {
        world.dkms(&[action, "--format"]).exits(2).complains("--format needs a value.");
    }
}

#[test]
fn autoinstall_says_that_it_ignores_a_package() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.ok(&["autoinstall", "nosuch"]).complains("nosuch is ignored").says("ok m/1.0 ");
    world.ok(&["autoinstall"]).is_silent_about("ignored");
}

#[test]
fn install_all_takes_every_kernel_with_headers() {
    let world = World::new();
    world.kernel(OTHER).headers();
    std::fs::create_dir_all(world.path("/lib/modules/6.3.0-1-amd64/kernel")).unwrap();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let preview = world.ok(&["install", "m", "--all", "--dry-run"]);
    preview.says(&format!("m/1.0 for kernel {K}")).says(&format!("m/1.0 for kernel {OTHER}"));
    world.ok(&["install", "m/1.0", "--all"]);
    let status = world.ok(&["status"]).stdout;
    let expected = [K, OTHER].map(|kernel| format!("m/1.0, {kernel}, {}: installed\n", *crate::world::A));
    assert_eq!(status, expected.concat());
    world.ok(&["install", "m/1.0", "--all"]);
    world.ok(&["install", "m", "--all", "--format", "json"]).says("\"changed\": false");
}

#[test]
fn install_all_passes_over_unwanted_kernels() {
    let world = World::new();
    world.kernel(OTHER).headers();
    world.package("m", "1.0").conf("BUILD_EXCLUSIVE_KERNEL_MIN=6.2");
    world.ok(&["add", "m/1.0"]);
    world.ok(&["install", "m/1.0", "--all"]).complains("BUILD_EXCLUSIVE");
    assert_eq!(world.ok(&["status"]).stdout, format!("m/1.0, {OTHER}, {}: installed\n", *crate::world::A));
    // A script of the package may say it as well.
    let declines = format!("test $kernelver != {K} || exit 77");
    world.package("s", "1.0").script("decline", &declines).conf("PRE_BUILD=decline");
    world.ok(&["add", "s/1.0"]);
    world.ok(&["install", "s/1.0", "--all"]);
    assert_eq!(
        world.ok(&["status", "s"]).stdout,
        format!("s/1.0, {OTHER}, {}: installed\n", *crate::world::A)
    );
    // No kernel that it wants: that is a failure as for one kernel.
    world.package("n", "1.0").conf("BUILD_EXCLUSIVE_KERNEL_MIN=9");
    world.ok(&["add", "n/1.0"]);
    world.dkms(&["install", "n/1.0", "--all"]).exits(77);
}

#[test]
fn install_all_goes_on_after_a_failure() {
    let world = World::new();
    world.kernel(OTHER).headers();
    world.package("m", "1.0").recipe(&format!("test $kernelver != {K} || exit 2"));
    world.ok(&["add", "m/1.0"]);
    world.dkms(&["install", "m/1.0", "--all"]).exits(10);
    world.ok(&["status"]).says(&format!("m/1.0, {OTHER}, {}: installed", *crate::world::A));
}

#[test]
fn install_all_needs_a_kernel_with_headers() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    std::fs::remove_dir_all(world.path(format!("/lib/modules/{K}/build"))).unwrap();
    world.dkms(&["install", "m/1.0", "--all"]).exits(21).complains("has its headers installed");
}

#[rstest]
#[case(&["why", "m"])]
#[case(&["log"])]
#[case(&["fsck"])]
fn document_that_does_not_exist_is_refused(#[case] line: &[&str]) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let json = [line, &["--format", "json"]].concat();
    let ended = world.dkms(&json);
    ended.exits(2).complains(&format!("The action {} prints text only.", line[0]));
    assert_eq!(ended.stdout, "");
    world.dkms(&[line, &["--format", "text"]].concat()).is_silent_about("prints text only");
}
