//! Packages that the administrator wants left alone.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

const NEW: &str = "6.2.0-1-amd64";
const FILE: &str = "/etc/dkms/disabled";

fn prepared() -> World {
    let world = World::new();
    world.kernel(NEW).headers();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world
}

#[rstest]
#[case::autoinstall(&["dkms", "autoinstall"])]
#[case::kernel_hook(&["kernel-postinst", K])]
#[case::header_hook(&["header-postinst", K])]
#[case::boot(&["boot"])]
#[case::initramfs(&["initramfs", K])]
#[case::package(&["common-postinst", "m", "1.0"])]
#[case::every_kernel(&["dkms", "install", "m/1.0", "--all"])]
fn disabled_package_is_left_alone_until_it_is_enabled(#[case] trigger: &[&str]) {
    let world = prepared();
    world.ok(&["disable", "m", "--reason", "it crashes"]).prints(&["m is disabled."]);
    world.pull(trigger).exits(0);
    assert_eq!(world.status(), ["m/1.0: added"]);
    assert!(world.calls("make").is_empty());
    world.ok(&["enable", "m"]);
    world.pull(trigger).exits(0);
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
}

#[test]
fn kernels_can_be_chosen_by_a_wildcard() {
    let world = prepared();
    world.ok(&["disable", "m", "-k", "6.2.*"]).prints(&["m is disabled for kernels 6.2.*."]);
    world.ok(&["autoinstall", "-k", NEW]);
    world.ok(&["autoinstall", "-k", K]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    // Only what was disabled can be enabled.
    world
        .dkms(&["enable", "m", "-k", NEW])
        .exits(3)
        .complains("one for m (kernels 6.2.*)")
        .complains("Try: dkms enable m");
    world.ok(&["enable", "m", "-k", "6.2.*"]);
    world.dkms(&["enable", "m"]).exits(3).complains("m is not disabled in /etc/dkms/disabled");
    world.ok(&["autoinstall", "-k", NEW]);
    assert_eq!(world.status().len(), 2);
}

#[test]
fn reason_is_shown_where_the_package_is() {
    let world = prepared();
    world.ok(&["install", "m/1.0"]);
    world.ok(&["disable", "m", "-k", NEW, "--reason", "no rt support"]);
    let why = world.ok(&["why", "m", "-k", NEW]).stdout.clone();
    let expected = format!(
        "would leave m/1.0 alone: it is disabled for kernels {NEW} in {}: no rt support",
        world.path(FILE).display()
    );
    assert!(why.contains(&expected), "{why}");
    world.ok(&["autoinstall", "-k", NEW, "--dry-run"]).says("no rt support");
    let status: serde_json::Value =
        serde_json::from_str(&world.ok(&["status", "--format", "json"]).stdout).unwrap();
    let rule = &status["packages"][0]["disabled"][0];
    assert_eq!((&rule["kernels"], &rule["reason"]), (&NEW.into(), &"no rt support".into()));
    let check = world.dkms(&["check", "-k", NEW]);
    check.exits(1).says("works on the running kernel, will not exist on this one").says("no rt support");
    check.says(&format!("fix: dkms enable m -k '{NEW}' && dkms install m/1.0 -k {NEW}/{}", *A));
    world.ok(&["disable", "m", "--reason", "later"]);
    let shown = world.on_terminal(120, &[], "dkms status");
    shown.says("installed, disabled: later");
    // A pipe gets what it always got.
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn installed_package_stays_and_is_not_touched() {
    let world = prepared();
    world.ok(&["install", "m/1.0"]);
    let ended = world.ok(&["disable", "m"]);
    ended.says(&format!("It stays installed for kernel {K}")).says("To remove it: dkms uninstall m/1.0");
    world.package("m", "1.0").file("m.c", "newer");
    fs::remove_file(world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"))).unwrap();
    let before = world.everything();
    world.ok(&["autoinstall"]);
    assert!(world.everything() == before);
    let hint = ended.stdout.lines().find_map(|line| line.split_once("To remove it: ")).unwrap().1.to_owned();
    world.shell(&hint).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
}

#[test]
fn newer_version_from_its_package_is_left_alone_too() {
    let world = prepared();
    world.ok(&["install", "m/1.0"]);
    world.ok(&["disable", "m", "--reason", "broken since June"]);
    world.package("m", "2.0");
    let ended = world.hook("common-postinst", &["m", "2.0"]);
    ended.exits(0).complains("m/2.0 is skipped for kernel").complains("broken since June");
    let status = world.status();
    assert!(status.contains(&"m/2.0: added".to_owned()), "{status:?}");
    assert!(!status.iter().any(|line| line.contains("m/2.0") && line.contains("installed")), "{status:?}");
}

#[test]
fn person_who_names_it_gets_it_with_a_warning() {
    let world = prepared();
    world.ok(&["disable", "m"]);
    world.ok(&["install", "m/1.0"]).complains("it is installed, and not kept up to date");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    let ended = world.ok(&["match", "--templatekernel", K, "-k", NEW]);
    ended.says("m/1.0 is skipped for kernel");
    assert_eq!(world.status().len(), 1);
}

#[test]
fn one_version_can_be_disabled() {
    let world = prepared();
    world.package("m", "2.0");
    world.ok(&["add", "m/2.0"]);
    world.ok(&["disable", "m/2.0"]);
    world.ok(&["autoinstall"]);
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
    world.ok(&["enable", "m/2.0"]);
    world.ok(&["autoinstall"]);
    assert!(world.status().contains(&line("m/2.0", K, "installed")));
}

#[test]
fn older_version_does_not_replace_disabled_one() {
    let world = prepared();
    world.package("m", "2.0");
    world.ok(&["install", "m/2.0"]);
    world.ok(&["disable", "m/2.0"]);
    world.ok(&["autoinstall"]).is_silent_about("m/1.0");
    assert!(world.status().contains(&line("m/2.0", K, "installed")), "{:?}", world.status());
}

/// What check prints takes away the rule that it is printed for, and no other.
#[test]
fn remedy_leaves_other_rules() {
    let world = prepared();
    world.ok(&["install", "m/1.0"]);
    world.write(FILE, format!("m 5.* mine\nm {NEW} wrong\nm/2.0 * other\n"));
    let check = world.dkms(&["check", "-k", NEW]);
    let fix = check.stdout.lines().find_map(|line| line.trim().strip_prefix("fix: ")).unwrap().to_owned();
    world.shell(&fix).exits(0);
    assert_eq!(world.read(FILE), "m 5.* mine\nm/2.0 * other\n");
    world.write("/etc/dkms/m.conf", "disabled=yes\n");
    world.ok(&["uninstall", "m/1.0", "-k", NEW]);
    world.dkms(&["check", "-k", NEW]).says("m.conf").is_silent_about("dkms enable");
}

#[test]
fn comment_about_something_disabled_is_no_rule() {
    let world = prepared();
    world.write("/etc/dkms/m.conf", "# building in debug mode is disabled\n");
    world.dkms(&["enable", "m"]).exits(3).complains("m is not disabled in /etc/dkms/disabled");
}

#[rstest]
#[case::all("m.conf", "disabled=yes\n", true)]
#[case::kernels("m.conf", "disabled=\"5.* 6.1.*\"\ndisabled_reason=\"too old\"\n", true)]
#[case::other_kernels("m.conf", "disabled=\"5.* 6.2.*\"\n", false)]
#[case::of_one_kernel("m--6.1.0-1-amd64.conf", "disabled=yes\n", true)]
#[case::of_another_kernel("m--6.2.0-1-amd64.conf", "disabled=yes\n", false)]
#[case::no("m.conf", "disabled=No\n", false)]
#[case::capital("m.conf", "disabled=Yes\n", true)]
#[case::of_another_package("n.conf", "disabled=yes\n", false)]
#[case::by_condition("m.conf", "[[ $kernelver == 6.1.* ]] && disabled=yes\n", true)]
fn administrators_file_disables_as_well(#[case] file: &str, #[case] text: &str, #[case] expected: bool) {
    let world = prepared();
    world.write(&format!("/etc/dkms/{file}"), text);
    world.ok(&["autoinstall"]);
    assert_eq!(world.status() == ["m/1.0: added"], expected, "{:?}", world.status());
}

#[test]
fn package_cannot_disable_itself() {
    let world = prepared();
    world.package("m", "1.0").conf("disabled=yes");
    world.ok(&["autoinstall"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[rstest]
#[case::nothing(&["disable"], 1, "disable needs the name of a package.")]
#[case::nothing_to_enable(&["enable"], 1, "Example: dkms enable")]
#[case::two_kernels(&["disable", "m", "-k", "a", "-k", "b"], 2, "Give one kernel")]
#[case::architecture(&["disable", "m", "-k", "a/x86_64"], 2, "is for every architecture")]
#[case::no_pattern(&["disable", "m", "-k", "a b"], 2, "neither a kernel nor a shell wildcard")]
#[case::empty(&["disable", "m", "-k", ""], 2, "neither a kernel nor a shell wildcard")]
#[case::not_disabled(&["enable", "m"], 3, "is not disabled")]
fn senseless_line_is_refused(#[case] line: &[&str], #[case] code: i32, #[case] text: &str) {
    let world = prepared();
    world.dkms(line).exits(code).complains(text);
    assert!(!world.has(FILE));
}

#[test]
fn lines_of_the_administrator_stay() {
    let world = prepared();
    world.write(FILE, "# ours\nother 6.* keep\nnonsense\n");
    world
        .ok(&["disable", "unknown-yet"])
        .complains("unknown-yet is not registered with dkms; the rule applies once it is");
    world.ok(&["disable", "m", "--reason", "first"]);
    world.ok(&["disable", "m", "--reason", "second\u{1b}[31m"]);
    let text = world.read(FILE);
    assert!(text.starts_with("# ours\nother 6.* keep\nnonsense\nunknown-yet *\nm * second"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("first"), "{text}");
    world.ok(&["enable", "m"]);
    world.ok(&["enable", "unknown-yet"]);
    assert_eq!(world.read(FILE), "# ours\nother 6.* keep\nnonsense\n");
}

#[rstest]
#[case::aligned("m    *   by hand\n")]
#[case::tabs("m\t\t*\treason\n")]
#[case::bare("m\n")]
#[case::line_ends("m * reason\r\n")]
#[case::no_text(&b"m * \xff\xfe\n"[..])]
fn file_may_be_written_by_hand(#[case] text: impl AsRef<[u8]>) {
    let world = prepared();
    world.write(FILE, text);
    world.ok(&["autoinstall"]);
    assert_eq!(world.status(), ["m/1.0: added"]);
    world.ok(&["enable", "m"]);
    world.ok(&["autoinstall"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn link_stays_a_link() {
    let world = prepared();
    world.write("/etc/dkms/managed", "n *\n");
    std::os::unix::fs::symlink("managed", world.path(FILE)).unwrap();
    world.ok(&["disable", "m"]);
    assert!(world.path(FILE).is_symlink());
    assert_eq!(world.read("/etc/dkms/managed"), "n *\nm *\n");
}

#[test]
fn list_that_cannot_be_read_is_warned_about() {
    let world = prepared();
    fs::create_dir_all(world.path(FILE)).unwrap();
    world.ok(&["autoinstall"]).complains("nothing counts as disabled by it");
}

#[test]
fn other_places_that_disable_are_named() {
    let world = prepared();
    world.write("/etc/dkms/m.conf", "disabled=yes\n");
    world.dkms(&["enable", "m"]).exits(3).complains("m.conf, which dkms does not edit");
    world.ok(&["disable", "m/1.0"]);
    world.ok(&["enable", "m"]).complains("m.conf disables it as well");
    fs::remove_file(world.path("/etc/dkms/m.conf")).unwrap();
    world.ok(&["disable", "m"]);
    world
        .dkms(&["enable", "m/1.0"])
        .exits(3)
        .complains("one for m (kernels *)")
        .complains("Try: dkms enable m");
}

#[test]
fn notice_goes_when_the_package_is_disabled() {
    let world = prepared();
    fs::create_dir_all(world.path("/run")).unwrap();
    world.package("m", "1.0").recipe("exit 2");
    world.hook("kernel-postinst", &[K]);
    assert!(world.has("/run/motd.d/dkms"));
    world.ok(&["disable", "m"]);
    assert!(!world.has("/run/motd.d/dkms"));
    world.ok(&["check"]);
}

#[test]
fn package_built_against_disabled_one_waits() {
    let world = prepared();
    world.package("upon", "1.0").conf("BUILD_DEPENDS=\"m\"");
    world.ok(&["add", "upon/1.0"]);
    world.ok(&["disable", "m"]);
    world.dkms(&["autoinstall"]).exits(11).complains("it depends on m, which is not installed");
    world.ok(&["disable", "upon"]);
    world.ok(&["autoinstall"]);
}
