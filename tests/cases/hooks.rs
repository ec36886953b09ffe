//! The programs that kernel and driver packages call.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;
use std::time::Duration;

/// A world with one pending package, whose build does this.
fn pending(recipe: &str) -> World {
    let world = World::new();
    world.package("m", "1.0").recipe(recipe);
    world.ok(&["add", "m/1.0"]);
    world
}

#[rstest]
#[case("kernel-preinst")]
#[case("kernel-postinst")]
#[case("kernel-prerm")]
#[case("header-postinst")]
fn hook_without_arguments_succeeds_with_a_message(#[case] hook: &str) {
    let world = pending("");
    let before = world.everything();
    let ended = world.hook(hook, &[]);
    ended.exits(0).complains("dkms: ");
    assert_eq!(ended.stdout, "");
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case("kernel-postinst", &[K, "/boot/vmlinuz-6.1.0-1-amd64"])]
#[case("kernel-postinst", &[K])]
#[case("header-postinst", &[K])]
fn a_new_kernel_gets_its_modules(#[case] hook: &str, #[case] args: &[&str]) {
    let world = pending("");
    let ended = world.hook(hook, args);
    ended.exits(0).complains(&format!("Autoinstall on {K} succeeded for module(s) m."));
    assert_eq!(ended.stdout, "");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert_eq!(world.depmods(K), 1);
}

#[test]
fn kernel_of_argument_counts_and_not_running_one() {
    let world = pending("");
    world.kernel("6.2").headers();
    world.hook("kernel-postinst", &["6.2", "/boot/vmlinuz-6.2"]).exits(0);
    assert_eq!(world.status(), [line("m/1.0", "6.2", "installed")]);
}

#[rstest]
#[case("kernel-postinst")]
#[case("header-postinst")]
fn missing_headers_are_a_note(#[case] hook: &str) {
    let world = pending("");
    world.kernel("6.2");
    let ended = world.hook(hook, &["6.2", "/boot/vmlinuz-6.2"]);
    ended
        .exits(0)
        .complains("no headers for kernel 6.2; m/1.0 will be built")
        .is_silent_about("could not be built");
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn nothing_pending_is_silence() {
    let world = World::new();
    world.kernel("6.2");
    for hook in ["kernel-postinst", "header-postinst", "kernel-preinst", "kernel-prerm"] {
        let ended = world.hook(hook, &["6.2", "/boot/vmlinuz-6.2"]);
        ended.exits(0);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""), "{hook}");
    }
    fs::remove_dir_all(world.path("/var/lib/dkms")).unwrap();
    world.hook("kernel-postinst", &[K]).exits(0);
    world.hook("kernel-prerm", &[K]).exits(0);
    assert!(!world.has("/var/lib/dkms"), "a hook makes no tree");
}

#[test]
fn failing_package_is_reported_and_the_kernel_installs() {
    let world = pending("echo 'm.c:7:1: error: too few points' >&2; exit 2");
    world.package("good", "1.0");
    world.ok(&["add", "good/1.0"]);
    let ended = world.hook("kernel-postinst", &[K, "/boot/vmlinuz"]);
    ended.exits(0).complains("could not be built").complains(&format!("m/1.0 for kernel {K} ({})", *A));
    ended.complains("reason: m.c:7:1: error: too few points");
    let log = world.path("/var/lib/dkms/m/1.0/build/make.log");
    ended.complains(&format!("log:    {}", log.display()));
    ended.complains(&format!("retry:  dkms install m/1.0 -k {K}/{}", *A));
    assert!(world.status().contains(&line("good/1.0", K, "installed")));
}

#[rstest]
#[case("", "", 0)]
#[case("fail", "", 1)]
#[case("", "fail", 1)]
#[case("fail", "warn", 0)]
#[case("warn", "fail", 1)]
#[case("fail", "fail", 1)]
fn whether_a_failure_fails_the_caller_is_configured(
    #[case] general: &str,
    #[case] package: &str,
    #[case] code: i32,
    #[values("kernel-postinst", "header-postinst", "dkms-autoinstaller")] hook: &str,
) {
    let world = pending("exit 2");
    if !general.is_empty() {
        world.write("/etc/dkms/framework.conf", format!("on_failure={general}\n"));
    }
    if !package.is_empty() {
        world.write("/etc/dkms/m.conf", format!("on_failure={package}\n"));
    }
    let args = if hook == "dkms-autoinstaller" { &["start", K][..] } else { &[K] };
    world.hook(hook, args).exits(code).complains("could not be built");
}

#[test]
fn a_policy_of_one_package_is_not_anothers() {
    let world = pending("exit 2");
    world.write("/etc/dkms/other.conf", "on_failure=fail\n");
    world.package("other", "1.0");
    world.ok(&["add", "other/1.0"]);
    world.hook("kernel-postinst", &[K]).exits(0);
}

#[rstest]
#[case("kernel-postinst", "configure", true)]
#[case("kernel-postinst", "'configure' '6.1.0-1'", true)]
#[case("kernel-postinst", "triggered linux-update-6.1", true)]
#[case("kernel-postinst", "", true)]
#[case("kernel-postinst", "abort-upgrade 6.1.0-1", false)]
#[case("kernel-postinst", "'abort-remove'", false)]
#[case("header-postinst", "configure", true)]
#[case("header-postinst", "'abort-deconfigure'", false)]
fn maintainer_scripts_action_decides_whether_something_is_built(
    #[case] hook: &str,
    #[case] parameters: &str,
    #[case] acts: bool,
) {
    let world = pending("");
    world.hook_with(hook, &[K], &[("DEB_MAINT_PARAMS", parameters)]).exits(0);
    assert_eq!(world.status() == [line("m/1.0", K, "installed")], acts, "{:?}", world.status());
}

#[rstest]
#[case("kernel-prerm", "remove", true)]
#[case("kernel-prerm", "'remove'", true)]
#[case("kernel-prerm", "upgrade 6.1.0-2", false)]
#[case("kernel-prerm", "'failed-upgrade'", false)]
#[case("kernel-preinst", "install", false)]
#[case("kernel-preinst", "upgrade 6.1.0-1", false)]
fn maintainer_scripts_action_decides_whether_something_is_removed(
    #[case] hook: &str,
    #[case] parameters: &str,
    #[case] acts: bool,
) {
    let world = pending("");
    world.ok(&["install", "m/1.0"]);
    world.hook_with(hook, &[K], &[("DEB_MAINT_PARAMS", parameters)]).exits(0);
    assert_eq!(world.status() == ["m/1.0: added"], acts, "{:?}", world.status());
}

#[test]
fn hooks_use_neither_standard_input_nor_output() {
    let world = pending("echo noise; cat; echo noise >&2");
    fs::write(world.scratch("input"), "for debconf\n").unwrap();
    let line = format!("{{ $kernel_postinst {K} >out; cat >rest; }} <input");
    world.shell(&line).exits(0);
    assert_eq!(fs::read_to_string(world.scratch("out")).unwrap(), "");
    assert_eq!(fs::read_to_string(world.scratch("rest")).unwrap(), "for debconf\n");
    assert_eq!(crate::world::line("m/1.0", K, "installed"), world.status()[0]);
}

#[test]
fn package_scripts_cannot_write_to_standard_output() {
    let world = World::new();
    world
        .package("m", "1.0")
        .conf("PRE_INSTALL=talk.sh\nPOST_INSTALL=talk.sh\nPOST_REMOVE=talk.sh")
        .script("talk.sh", "echo said; echo complained >&2");
    world.ok(&["add", "m/1.0"]);
    for hook in ["kernel-postinst", "kernel-prerm"] {
        let ended = world.hook(hook, &[K]);
        ended.exits(0).complains("said");
        assert_eq!(ended.stdout, "", "{hook}");
    }
}

#[rstest]
#[case("kernel_postinst")]
#[case("header_postinst")]
fn descriptor_3_is_closed_even_if_child_lingers(#[case] hook: &str) {
    let world = World::new();
    // The child outlives the build, and keeps whatever descriptors it got.
    let linger = "setsid sleep 4 </dev/null >/dev/null 2>&1 &";
    world.package("m", "1.0").recipe(linger).conf("POST_INSTALL=post.sh").script("post.sh", linger);
    world.ok(&["add", "m/1.0"]);
    // `cat` ends when the last writer of the pipe is gone.
    let ended = world.shell(&format!("${hook} {K} 3>&1 >/dev/null | cat"));
    ended.exits(0);
    assert_eq!(ended.stdout, "");
    assert!(ended.took < Duration::from_secs(3), "{:?}", ended.took);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn removed_kernel_takes_all_our_modules_along() {
    let world = World::new();
    world.kernel("6.2").headers();
    for name in ["a", "b"] {
        world.package(name, "1.0").conf("AUTOINSTALL=no");
        world.ok(&["install", &format!("{name}/1.0"), "-k", K, "-k", "6.2"]);
    }
    world.package("c", "1.0");
    world.ok(&["build", "c/1.0"]);
    world.ok(&["build", "c/1.0", "-a", "other"]);
    fs::create_dir_all(world.path(format!("/lib/modules/{K}/build/include/config"))).unwrap();
    fs::create_dir_all(world.path(format!("/lib/modules/{K}/theirs"))).unwrap();
    let depmods = world.depmods(K);
    world.hook("kernel-prerm", &[K, "/boot/vmlinuz"]).exits(0);
    assert_eq!(
        world.status(),
        [line("a/1.0", "6.2", "installed"), line("b/1.0", "6.2", "installed"), "c/1.0: added".into()]
    );
    assert_eq!(world.depmods(K), depmods, "the kernel's package deletes the index");
    assert_eq!(
        world.names(&format!("/lib/modules/{K}")),
        [
            "build/",
            "build/include/",
            "build/include/config/",
            "kernel/",
            "kernel/fs/",
            "kernel/fs/ext4.ko",
            "modules.dep",
            "theirs/"
        ]
    );
    assert!(!world.tree().iter().any(|name| name.contains(K)), "{:#?}", world.tree());
}

#[test]
fn the_removal_hook_never_fails_the_kernel() {
    let world = World::new();
    world.package("m", "1.0").conf("POST_REMOVE=fail.sh").script("fail.sh", "exit 3");
    world.ok(&["install", "m/1.0"]);
    world.tool_does("depmod", "exit 1");
    world.hook("kernel-prerm", &[K]).exits(0);
    assert_eq!(world.status(), ["m/1.0: added"]);
    world.hook("kernel-prerm", &["../../etc"]).exits(0).complains("Error! ");
}

#[test]
fn the_administrator_can_switch_the_hooks_off() {
    let world = pending("");
    world.write("/etc/dkms/no-autoinstall", "");
    for (hook, args) in
        [("kernel-postinst", &[K][..]), ("header-postinst", &[K]), ("common-postinst", &["m", "1.0"])]
    {
        world.hook(hook, args).exits(0);
    }
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[rstest]
#[case(&["start"], 0, true)]
#[case(&["start", K], 0, true)]
#[case(&["stop"], 0, false)]
#[case(&["restart"], 0, false)]
#[case(&["status"], 0, false)]
#[case(&[], 2, false)]
#[case(&["nonsense"], 2, false)]
fn autoinstaller_knows_the_words_of_an_init_script(
    #[case] args: &[&str],
    #[case] code: i32,
    #[case] acts: bool,
) {
    let world = pending("");
    world.hook("dkms-autoinstaller", args).exits(code);
    assert_eq!(world.status() == [line("m/1.0", K, "installed")], acts);
}

#[rstest]
#[case(&[])]
#[case(&["m"])]
#[case(&["m", ""])]
#[case(&["", "1.0"])]
fn common_postinst_wants_a_name_and_a_version(#[case] args: &[&str]) {
    let world = pending("");
    let before = world.everything();
    world.hook("common-postinst", args).exits(1);
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case(&["m", "1.0"], None)]
#[case(&["m", "1.0", ""], None)]
#[case(&["m", "1.0", "/usr/share/m"], None)]
#[case(&["m", "1.0", "/usr/share/m", ""], None)]
#[case(&["m", "1.0", "/usr/share/m", "amd64"], Some("amd64"))]
#[case(&["m", "1.0", "/usr/share/m", "", "0.9"], None)]
#[case(&["m", "1.0", "", "amd64", "0.9"], Some("amd64"))]
fn common_postinst_takes_one_to_five_arguments(#[case] args: &[&str], #[case] arch: Option<&str>) {
    let world = World::new();
    world.package("m", "1.0");
    let ended = world.hook("common-postinst", args);
    ended.exits(0);
    assert_eq!(ended.stdout, "");
    assert_eq!(world.status(), [format!("m/1.0, {K}, {}: installed", arch.unwrap_or(&A))]);
}

#[test]
fn common_postinst_builds_anew_what_was_there() {
    let world = World::new();
    world.package("m", "1.0").file("who", "old");
    world.ok(&["install", "m/1.0"]);
    world.package("m", "1.0").module_of("m", "1.0", "CHANGED");
    world.hook("common-postinst", &["m", "1.0"]).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert_eq!(world.calls("make").len(), 2);
}

#[rstest]
#[case("no")]
#[case("")]
fn common_postinst_does_not_build_without_autoinstall(#[case] value: &str) {
    let world = World::new();
    world.package("m", "1.0").conf(&format!("AUTOINSTALL={value}"));
    world.hook("common-postinst", &["m", "1.0"]).exits(0);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn override_switches_autoinstall_off_for_common_postinst_too() {
    let world = World::new();
    world.package("m", "1.0");
    world.write("/etc/dkms/m.conf", "AUTOINSTALL=no\n");
    world.hook("common-postinst", &["m", "1.0"]).exits(0);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

/// Kernels 5.10, K (running) and 6.2 with headers, and 6.3 without; /boot knows 5.10, K and 6.2.
fn four_kernels() -> World {
    let world = World::new();
    world.kernel("5.10.0-9-amd64").headers();
    world.kernel("6.2.0-1-amd64").headers();
    world.kernel("6.3.0-1-amd64");
    for release in ["5.10.0-9-amd64", K, "6.2.0-1-amd64"] {
        world.write(&format!("/boot/config-{release}"), "");
    }
    world.package("m", "1.0");
    world
}

fn kernels(world: &World) -> Vec<String> {
    world.status().iter().filter_map(|line| Some(line.split(", ").nth(1)?.to_owned())).collect()
}

#[test]
fn driver_is_built_for_running_and_newest_kernel() {
    let world = four_kernels();
    world.hook("common-postinst", &["m", "1.0"]).exits(0);
    assert_eq!(kernels(&world), [K, "6.2.0-1-amd64"]);
}

#[test]
fn driver_is_built_for_all_configured_kernels() {
    let world = four_kernels();
    world.write("/etc/dkms/framework.conf", "autoinstall_all_kernels=yes\n");
    world.hook("common-postinst", &["m", "1.0"]).exits(0);
    assert_eq!(kernels(&world), ["5.10.0-9-amd64", K, "6.2.0-1-amd64"]);
}

#[rstest]
#[case(&["m", "1.0"], &["5.10.0-9-amd64", K, "6.2.0-1-amd64"])]
#[case(&["m", "1.0", "", "", "0.9"], &["6.2.0-1-amd64"])]
fn chroot_builds_for_all_kernels_or_the_newest(#[case] args: &[&str], #[case] expected: &[&str]) {
    let mut world = four_kernels();
    world.set("DKMS_UNAME_R", "4.19.0-1-host");
    world.hook("common-postinst", args).exits(0);
    assert_eq!(kernels(&world), expected);
}

#[test]
fn common_postinst_skips_unbuildable_kernels() {
    let mut world = four_kernels();
    world.set("DKMS_UNAME_R", "6.3.0-1-amd64");
    world.hook("common-postinst", &["m", "1.0"]).exits(0).complains("6.3.0-1-amd64");
    assert!(kernels(&world).is_empty(), "the newest is older than the running one");
    world.package("m", "1.0").conf("BUILD_EXCLUSIVE_KERNEL='^5'");
    world.set("DKMS_UNAME_R", K);
    world.hook("common-postinst", &["m", "1.0"]).exits(0).is_silent_about("could not be built");
    assert!(kernels(&world).is_empty());
}

#[rstest]
#[case("", 0)]
#[case("on_failure=fail\n", 10)]
fn driver_failing_for_one_kernel_tries_the_next(#[case] framework: &str, #[case] code: i32) {
    let world = four_kernels();
    world.write("/etc/dkms/framework.conf", framework);
    world.package("m", "1.0").recipe(&format!("test $kernelver != {K} || exit 1"));
    world.hook("common-postinst", &["m", "1.0"]).exits(code).complains("could not be built");
    assert_eq!(kernels(&world), ["6.2.0-1-amd64"]);
}

#[test]
fn driver_stops_at_first_failure_if_configured() {
    let world = four_kernels();
    world.write("/etc/dkms/framework.conf", "continue_on_error=\nautoinstall_all_kernels=yes\n");
    world.write("/etc/dkms/framework.conf.d/x.conf", "continue_on_error=no\n");
    world.package("m", "1.0").recipe(&format!("test $kernelver != {K} || exit 1"));
    world.hook("common-postinst", &["m", "1.0"]).exits(0);
    assert_eq!(kernels(&world), ["5.10.0-9-amd64"]);
}

#[rstest]
#[case(&["m", "1.0"], "source", 2)]
#[case(&["m", "1.0"], "conf", 8)]
#[case(&["../m", "1.0"], "", 1)]
#[case(&["m", "a b"], "", 1)]
fn driver_that_cannot_be_loaded_fails_its_package(
    #[case] args: &[&str],
    #[case] damage: &str,
    #[case] code: i32,
) {
    let world = World::new();
    match damage {
        "source" => {}
        "conf" => drop(world.package("m", "1.0").whole_conf("nonsense")),
        _ => drop(world.package("m", "1.0")),
    }
    let before = world.everything();
    let ended = world.hook("common-postinst", args);
    ended.exits(code).complains("Error! ");
    assert_eq!(world.everything(), before);
}

#[test]
fn driver_on_a_machine_without_kernels_is_added() {
    let world = World::without_kernel();
    world.package("m", "1.0");
    world.hook("common-postinst", &["m", "1.0"]).exits(0).complains("Warning: ");
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn kernel_that_goes_takes_modules_without_source_along() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
    world.hook("kernel-prerm", &[K]).exits(0);
    assert!(!world.has(&format!("/lib/modules/{K}/updates")), "{:#?}", world.names("/lib/modules"));
    assert!(!world.tree().iter().any(|name| name.contains(K)), "{:#?}", world.tree());
}
