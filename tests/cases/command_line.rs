//! Spellings of the command line, and the order in which it is checked.

use crate::world::{A, K, World, line};
use rstest::rstest;

#[rstest]
#[case(&["add", "m/1.0"])]
#[case(&["add", "-m", "m/1.0"])]
#[case(&["add", "-m", "m", "-v", "1.0"])]
#[case(&["-m", "m", "add", "-v", "1.0"])]
#[case(&["-v", "1.0", "-m", "m", "add"])]
#[case(&["add", "m", "-v", "1.0"])]
#[case(&["add", "--module", "m", "-v", "1.0"])]
#[case(&["add", "--module=m/1.0"])]
#[case(&["add", "--modulexyz", "m/1.0"])]
#[case(&["add", "", "m/1.0"])]
#[case(&["add", "--no-initrd", "--no-clean-kernel", "--no-prepare-kernel", "m/1.0"])]
#[case(&["--verbose", "add", "--debug", "m/1.0"])]
#[case(&["add", "-m", "x", "-m", "m", "-v", "9", "-v", "1.0"])]
#[case(&["add", "--rpm_safe_upgrade", "-m", "m", "-v", "1.0"])]
fn a_package_can_be_spelled_in_many_ways(#[case] args: &[&str]) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(args);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[rstest]
#[case(&["--bogus"], 2)]
#[case(&["add", "-m=x"], 2)]
#[case(&["build", "-j3", "m/1.0"], 2)]
#[case(&["add", "build"], 4)]
#[case(&["add", "build", "--bogus"], 4)]
#[case(&["--bogus", "add", "build"], 2)]
#[case(&["add"], 1)]
#[case(&["add", "m"], 1)]
#[case(&["build", "m"], 1)]
#[case(&["install", "m"], 1)]
#[case(&["remove", "m"], 1)]
#[case(&["uninstall", "-v", "1.0"], 1)]
#[case(&["unbuild"], 1)]
#[case(&["mktarball", "--binaries-only", "--source-only"], 8)]
#[case(&["build", "m/1.0", "-k", "a", "-k", "b", "-k", "c", "-a", "x", "-a", "y"], 1)]
#[case(&["remove", "m/1.0", "--all", "-k", "x"], 2)]
#[case(&["status", "--all", "-k", "x"], 2)]
#[case(&["remove", "m/1.0", "--all", "-a", "x"], 3)]
#[case(&["status", "--all", "-a", "x"], 3)]
#[case(&["add", "m/1.0", "--all"], 5)]
#[case(&["build", "m/1.0", "--all"], 5)]
#[case(&["match", "--all", "--templatekernel", "x"], 5)]
#[case(&["autoinstall", "--all"], 5)]
#[case(&["kernel_postinst", "--all"], 5)]
#[case(&["kernel_preinst"], 4)]
#[case(&["kernel_prerm", "-k", "a", "-k", "b"], 4)]
#[case(&["autoinstall", "-k", "a", "-k", "b"], 4)]
#[case(&["match", "-k", "a", "-k", "b", "--templatekernel", "c"], 4)]
#[case(&["match", "-k", "a"], 1)]
#[case(&["match", "-k", "a", "--templatekernel", "a"], 2)]
#[case(&["match", "-k", "a", "--templatekernel", "a/x86_64"], 2)]
#[case(&["match", "-k", "a", "--templatekernel", "b", "-m", "unknown"], 3)]
#[case(&["build", "m/1.0", "-k", ""], 16)]
#[case(&["build", "m/1.0", "-a", ""], 16)]
#[case(&["build", "m/1.0", "-k"], 16)]
#[case(&["remove", "m/1.0", "-k", ""], 16)]
#[case(&["add", "m/1.0", "-a", ""], 16)]
#[case(&[], 2)]
#[case(&["mkdeb", "m/1.0"], 3)]
#[case(&["mkkmp", "m/1.0"], 2)]
#[case(&["frobnicate"], 2)]
// The first check that fails decides.
#[case(&["add", "--binaries-only", "--source-only", "--all", "-k", "x"], 8)]
#[case(&["kernel_prerm", "--all", "-k", "x"], 2)]
#[case(&["build", "--all", "-k", "", "m"], 2)]
#[case(&["install", "m", "--all", "-k", "x"], 2)]
fn contradictions_are_refused_with_their_code(#[case] args: &[&str], #[case] code: i32) {
    let world = World::new();
    world.package("m", "1.0");
    let before = world.everything();
    world.dkms(args).exits(code).complains("Error! ");
    assert_eq!(world.everything(), before);
}

#[test]
fn unknown_option_and_a_missing_action_print_usage() {
    let world = World::new();
    world.dkms(&["add", "--bogus"]).exits(2).complains("--bogus").says("Usage: dkms");
    world.dkms(&[]).exits(2).says("Usage: dkms");
}

#[rstest]
#[case::action(&["instal"], "Did you mean install?")]
#[case::option(&["add", "--forse"], "Did you mean --force?")]
#[case::option_with_value(&["add", "--kernelvre=6.1"], "Did you mean --kernelver?")]
#[case::help(&["help", "chekc"], "Did you mean check?")]
#[case::nothing_similar(&["frobnicate"], "\nSee dkms --help.")]
fn mistyped_word_gets_a_suggestion(#[case] line: &[&str], #[case] hint: &str) {
    World::new().dkms(line).exits(2).complains(hint);
}

#[rstest]
#[case(&["help", "check"], "--full")]
#[case(&["check", "--help"], "--full")]
#[case(&["help"], "Actions:")]
fn help_explains_one_action_or_all(#[case] line: &[&str], #[case] said: &str) {
    World::new().ok(line).says("Usage: dkms").says(said);
}

#[test]
fn help_and_version_end_the_scan_whatever_follows() {
    let world = World::new();
    world.ok(&["add", "--version", "--bogus"]).prints(&[&format!("dkms-{}", env!("CARGO_PKG_VERSION"))]);
    world.ok(&["-V"]).says("dkms-");
    world.ok(&["-h", "--bogus"]).says(" --no-depmod ");
    let errors = world.dkms(&["add", "build", "--help"]);
    errors.exits(4).is_silent_about("Usage: dkms");
}

#[test]
fn version_and_help_work_on_an_empty_machine() {
    let mut world = World::without_kernel();
    std::fs::remove_dir_all(world.root()).unwrap();
    world.set("TMPDIR", "/nonexistent").set("PATH", "");
    world.ok(&["--version"]);
    world.ok(&["--help"]);
    world.ok(&["status"]).prints(&[]);
}

#[test]
fn an_unknown_word_is_a_warning() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0", "what/ever"]).complains("Warning: ").complains("what/ever");
    world.ok(&["status", "-m", "m", "other"]).complains("Warning: ").prints(&["m/1.0: added"]);
}

#[test]
fn quiet_silences_what_comes_after_it() {
    let world = World::new();
    world.package("m", "1.0").recipe("exit 3");
    let ended = world.dkms(&["-q", "install", "m/1.0"]);
    ended.exits(10);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    world.dkms(&["--quiet", "--bogus"]).exits(2).is_silent_about("Error!");
}

#[test]
fn kernels_and_architectures_are_paired_by_position() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0", "-k", K, "-k", "6.2/x", "-a", "y"]);
    assert_eq!(world.status(), [format!("m/1.0, {K}, x: built"), "m/1.0, 6.2, y: built".into()]);
}

#[test]
fn one_architecture_is_for_all_kernels() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0", "-k", K, "--kernelver=6.2", "--arch", "y"]);
    assert_eq!(world.status(), [format!("m/1.0, {K}, y: built"), "m/1.0, 6.2, y: built".into()]);
}

#[test]
fn running_kernel_and_the_machine_are_the_defaults() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert!(world.has(&format!("/var/lib/dkms/m/kernel-{K}-{}", *A)));
}

#[test]
fn trees_can_be_named_on_the_command_line() {
    let world = World::new();
    let (tree, source, install) = (world.scratch("t"), world.scratch("s"), world.scratch("l"));
    world.package_in(&source.join("m-1.0"), "m", "1.0");
    std::fs::create_dir_all(install.join("6.9/build/include")).unwrap();
    let option = |name: &str, path: &std::path::Path| format!("--{name}={}", path.display());
    let trees = [option("dkmstree", &tree), option("sourcetree", &source), option("installtree", &install)];
    let mut args: Vec<&str> = trees.iter().map(String::as_str).collect();
    args.extend(["install", "m/1.0", "-k", "6.9"]);
    world.ok(&args);
    assert!(install.join("6.9/updates/dkms/m.ko").is_file());
    assert!(tree.join(format!("m/1.0/6.9/{}/module/m.ko", *A)).is_file());
    assert!(world.tree().is_empty());
}

#[test]
fn relative_tree_with_a_link_is_recognised() {
    let world = World::new();
    world.package("m", "1.0");
    std::fs::create_dir_all(world.scratch("real")).unwrap();
    std::os::unix::fs::symlink("real", world.scratch("link")).unwrap();
    world.ok(&["--dkmstree", "link/t/", "install", "m/1.0"]);
    let status = world.ok(&["--dkmstree", "link/t/", "status"]);
    status.prints(&[&line("m/1.0", K, "installed")]);
    world.ok(&["--dkmstree", "real/t", "install", "m/1.0"]).says("already installed");
}
