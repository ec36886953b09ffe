//! The action autoinstall: every package stands for itself.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

const FAILED: &str = "One or more modules failed to install during autoinstall.";

fn summary(what: &str, names: &str) -> String {
    format!("Autoinstall on {K} {what} for module(s) {names}.\n")
}

fn add(world: &World, ids: &[&str]) {
    for id in ids {
        world.ok(&["add", id]);
    }
}

#[test]
fn everything_pending_is_installed_and_indexed_once() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        // The first in the alphabet is the last to be ready.
        world.package(name, "1.0").recipe(if name == "a" { "sleep 0.3" } else { "" });
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.package("off", "1.0").conf("AUTOINSTALL=");
    add(&world, &["off/1.0"]);
    world.ok(&["autoinstall", "-j", "3"]).says(&summary("succeeded", "a b c"));
    assert_eq!(
        world.status(),
        [
            line("a/1.0", K, "installed"),
            line("b/1.0", K, "installed"),
            line("c/1.0", K, "installed"),
            "off/1.0: added".into()
        ]
    );
    assert_eq!(world.depmods(K), 1);
    assert_eq!(world.calls("depmod").len(), 1);
}

#[test]
fn nothing_pending_prints_nothing_and_writes_nothing() {
    let world = World::new();
    world.package("off", "1.0").conf("AUTOINSTALL=no");
    add(&world, &["off/1.0"]);
    let before = world.everything();
    let ended = world.ok(&["autoinstall"]);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    assert_eq!(world.everything(), before);
}

#[test]
fn what_is_installed_already_is_left_alone() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let before = world.everything();
    world.ok(&["autoinstall"]);
    assert_eq!(world.everything(), before);
    assert_eq!((world.calls("make").len(), world.depmods(K)), (1, 1));
}

#[rstest]
#[case::broken("broken")]
#[case::invalid("invalid")]
#[case::without_conf("without conf")]
#[case::exiting("exiting")]
#[case::failing("failing")]
#[case::without_module("without module")]
#[case::script("script")]
#[case::blocked("blocked")]
#[case::selfish("selfish")]
fn one_bad_package_does_not_keep_others_out(#[case] how: &str) {
    let world = World::new();
    world.package("a", "1.0");
    world.package("z", "1.0");
    let bad = world.package("m", "1.0");
    add(&world, &["a/1.0", "m/1.0", "z/1.0"]);
    let conf = "PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nAUTOINSTALL=yes\nDEST_MODULE_LOCATION=/extra\n";
    let (said, code) = match how {
        "broken" => {
            fs::remove_dir_all(&bad.dir).unwrap();
            (summary("failed", "m(4)"), 4)
        }
        "invalid" => {
            bad.conf("AUTOINSTALL=maybe");
            (summary("failed", "m(8)"), 8)
        }
        "without conf" => {
            bad.without("dkms.conf");
            (summary("failed", "m(4)"), 4)
        }
        "exiting" => {
            bad.conf("exit 0");
            (summary("failed", "m(8)"), 8)
        }
        "failing" => {
            bad.recipe("exit 2");
            (summary("failed", "m(10)"), 10)
        }
        "without module" => {
            bad.without("m.ko.in");
            (summary("failed", "m(7)"), 7)
        }
        "script" => {
            bad.conf("PRE_BUILD=fail.sh").script("fail.sh", "exit 33");
            (summary("failed", "m(33)"), 33)
        }
        "blocked" => {
            world.package("off", "1.0").conf("AUTOINSTALL=");
            add(&world, &["off/1.0"]);
            bad.whole_conf(&format!("{conf}BUILD_DEPENDS=off\n"));
            (String::new(), 11)
        }
        _ => {
            bad.whole_conf(&format!("{conf}BUILD_DEPENDS=m\n"));
            (String::new(), 11)
        }
    };
    let ended = world.dkms(&["autoinstall"]);
    ended.exits(11).complains(FAILED).says(&said);
    assert!(code != 11 || ended.stderr.contains("m/1.0 cannot be installed"), "{}", ended.stderr);
    for package in ["a/1.0", "z/1.0"] {
        assert!(world.status().contains(&line(package, K, "installed")), "{:#?}", world.status());
    }
    assert_eq!(world.depmods(K), 1);
}

#[test]
fn every_failure_is_reported_by_package() {
    let world = World::new();
    world.package("good", "1.0");
    world.package("needs-good", "1.0").conf("BUILD_DEPENDS[0]=good");
    world.package("excluded", "1.0").conf("BUILD_EXCLUSIVE_KERNEL='^5'");
    world.package("fails", "1.0").recipe("exit 1");
    world.package("invalid", "1.0");
    world.package("needs-fails", "1.0").conf("BUILD_DEPENDS=fails");
    world.package("waits", "1.0").conf("BUILD_DEPENDS=unknown");
    world.package("circle-a", "1.0").conf("BUILD_DEPENDS=circle-b");
    world.package("circle-b", "1.0").conf("BUILD_DEPENDS=circle-a");
    for name in
        ["good", "needs-good", "excluded", "fails", "invalid", "needs-fails", "waits", "circle-a", "circle-b"]
    {
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.package("invalid", "1.0").whole_conf("nonsense\n");
    let ended = world.dkms(&["autoinstall"]);
    ended.exits(11).says(&summary("succeeded", "good needs-good")).says(&summary("was skipped", "excluded"));
    ended.says("fails(10)").says("invalid(8)").says("needs-fails(13)").says("waits");
    ended.complains("circle-a").complains("circle-b");
    let installed: Vec<String> =
        world.status().into_iter().filter(|line| line.contains("installed")).collect();
    assert_eq!(installed, [line("good/1.0", K, "installed"), line("needs-good/1.0", K, "installed")]);
}

#[test]
fn excluded_and_deferred_packages_are_no_errors() {
    let world = World::new();
    world.package("excluded", "1.0").conf("BUILD_EXCLUSIVE_KERNEL='^5'");
    world.package("waits", "1.0").conf("BUILD_DEPENDS=unknown");
    add(&world, &["excluded/1.0", "waits/1.0"]);
    world.ok(&["autoinstall"]).says(&summary("was skipped", "excluded")).says("unknown");
    assert!(world.calls("make").is_empty());
    assert!(world.calls("depmod").is_empty());
}

#[test]
fn dependencies_are_installed_first() {
    let world = World::new();
    let order = "echo $module >> \"$DKMS_SCRATCH/order\"";
    world.package("a", "1.0").conf("BUILD_DEPENDS=\"b c\"").recipe(&format!(
        "{order}; test -e {} || exit 1",
        world.path(format!("/lib/modules/{K}/updates/dkms/b.ko")).display()
    ));
    world.package("b", "1.0").conf("BUILD_DEPENDS=c").recipe(order);
    world.package("c", "1.0").recipe(&format!("sleep 0.2; {order}"));
    add(&world, &["a/1.0", "b/1.0", "c/1.0"]);
    world.ok(&["autoinstall"]);
    assert_eq!(fs::read_to_string(world.scratch("order")).unwrap(), "c\nb\na\n");
}

#[test]
fn a_package_whose_dependency_fails_is_not_tried() {
    let world = World::new();
    world.package("a", "1.0").recipe("exit 1");
    world.package("b", "1.0").conf("BUILD_DEPENDS=a");
    add(&world, &["a/1.0", "b/1.0"]);
    world.dkms(&["autoinstall"]).exits(11).says("a(10)").says("b(13)");
    assert_eq!(world.calls("make").len(), 1);
}

#[test]
fn newest_version_is_taken_in_order_of_versions() {
    let world = World::new();
    for version in ["9.0", "10.0", "1.0"] {
        world.package("m", version);
        world.ok(&["add", "-m", "m", "-v", version]);
    }
    world.ok(&["autoinstall"]);
    assert_eq!(
        world.status(),
        ["m/1.0: added".into(), line("m/10.0", K, "installed"), "m/9.0: added".into()]
    );
}

#[test]
fn a_newer_version_replaces_an_installed_one() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.package("m", "2.0");
    add(&world, &["m/2.0"]);
    world.ok(&["autoinstall"]);
    assert_eq!(world.status(), [line("m/1.0", K, "built"), line("m/2.0", K, "installed")]);
}

#[test]
fn older_version_serves_where_the_newest_refuses() {
    let world = World::new();
    world.package("m", "1.0");
    world.package("m", "2.0").conf("BUILD_EXCLUSIVE_KERNEL_MIN=6.2");
    add(&world, &["m/1.0", "m/2.0"]);
    world.ok(&["autoinstall"]).says(&summary("succeeded", "m"));
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "m/2.0: added".into()]);
    // And it stays: the next run finds nothing to do.
    let before = world.everything();
    world.ok(&["autoinstall"]);
    assert_eq!(world.everything(), before);
}

#[test]
fn missing_file_is_installed_again() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let file = world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"));
    fs::remove_file(&file).unwrap();
    world.ok(&["autoinstall"]);
    assert!(file.is_file());
    assert_eq!((world.calls("make").len(), world.depmods(K)), (1, 2));
}

#[test]
fn what_is_built_is_installed_without_a_build() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]);
    fs::remove_dir_all(world.path(format!("/lib/modules/{K}/build"))).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    assert_eq!(world.calls("make").len(), 1);
}

#[test]
fn missing_headers_are_21_where_builds_are_needed() {
    let world = World::new();
    world.kernel("6.2");
    world.package("m", "1.0");
    world.ok(&["autoinstall", "-k", "6.2"]);
    add(&world, &["m/1.0"]);
    world.dkms(&["autoinstall", "-k", "6.2"]).exits(21).complains("6.2");
    world.ok(&["autoinstall", "--kernelver", K]);
}

#[rstest]
#[case("autoinstall")]
#[case("kernel_postinst")]
fn the_administrator_can_switch_it_off(#[case] action: &str) {
    let world = World::new();
    world.package("m", "1.0");
    add(&world, &["m/1.0"]);
    world.write("/etc/dkms/no-autoinstall", "");
    world.ok(&[action, "-k", K]);
    assert_eq!(world.status(), ["m/1.0: added"]);
    fs::remove_file(world.path("/etc/dkms/no-autoinstall")).unwrap();
    world.ok(&[action, "-k", K]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn a_module_on_the_command_line_is_ignored() {
    let world = World::new();
    world.package("a", "1.0");
    world.package("b", "1.0");
    add(&world, &["a/1.0", "b/1.0"]);
    world.ok(&["autoinstall", "a/1.0"]);
    assert_eq!(world.status(), [line("a/1.0", K, "installed"), line("b/1.0", K, "installed")]);
}

#[test]
fn failing_depmod_fails_the_installations_of_this_run() {
    let world = World::new();
    world.package("a", "1.0");
    world.package("b", "1.0");
    add(&world, &["a/1.0", "b/1.0"]);
    world.tool_does("depmod", "exit 1");
    world.dkms(&["autoinstall"]).exits(11).says(&summary("failed", "a(6) b(6)"));
    assert_eq!(world.status(), [line("a/1.0", K, "built"), line("b/1.0", K, "built")]);
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
}

/// Counts itself, waits, and leaves: what a compiler is to a jobserver.
const COMPILER: &str = "mkdir -p \"$DKMS_SCRATCH/now\"; : > \"$DKMS_SCRATCH/now/$module$$\"; ls \"$DKMS_SCRATCH/now\" | wc -l >> \"$DKMS_SCRATCH/counts\"\n\
                        sleep 0.05; rm \"$DKMS_SCRATCH/now/$module$$\"";

#[test]
fn parallel_builds_share_one_job_limit() {
    if !std::path::Path::new("/usr/bin/make").exists() {
        return;
    }
    let world = World::new();
    let targets: Vec<String> = (0..8).map(|i| format!("t{i}")).collect();
    for name in ["a", "b", "c", "d"] {
        let makefile = format!("all: {0}\n{0}:\n\t@sh ./compiler.sh\n", targets.join(" "));
        world
            .package(name, "1.0")
            .file("many.mk", makefile)
            .file("compiler.sh", COMPILER)
            .recipe("/usr/bin/make -f many.mk all || exit 1");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["autoinstall", "-j", "3"]);
    let counts = fs::read_to_string(world.scratch("counts")).unwrap();
    let counts: Vec<usize> = counts.lines().map(|line| line.trim().parse().unwrap()).collect();
    assert_eq!(counts.len(), 32);
    let most = counts.iter().max().unwrap();
    assert!((2..=3).contains(most), "{most} compilers at once: {counts:?}");
    assert!(world.status().iter().all(|line| line.contains(&format!("{}: installed", *A))));
}

#[test]
fn builds_with_their_own_job_number_take_turns() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world
            .package(name, "1.0")
            .conf("MAKE=\"cd . && make -j4\"")
            .file("compiler.sh", COMPILER)
            .recipe("for i in 1 2 3 4; do sh ./compiler.sh & done; wait");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["autoinstall", "-j", "4"]);
    let counts = fs::read_to_string(world.scratch("counts")).unwrap();
    let most = counts.lines().map(|line| line.trim().parse::<usize>().unwrap()).max();
    assert!(most <= Some(4), "{counts}");
}

#[test]
fn verbose_adds_steps_to_the_package_lines() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.package(name, "1.0").recipe("sleep 0.1");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.package("d", "1.0").recipe("echo 'd.c:1:2: error: no luck'; exit 2");
    world.ok(&["add", "d/1.0"]);
    let ended = world.dkms(&["autoinstall", "-j", "4"]);
    ended.exits(11);
    for name in ["a", "b", "c"] {
        let log = world.path(format!("/var/lib/dkms/{name}/1.0/build/make.log"));
        let begins = format!("Building {name}/1.0 for {K}; log: {}", log.display());
        assert!(ended.stdout.lines().any(|line| line == begins), "{}", ended.stdout);
        let ends = |line: &str| line.starts_with(&format!("ok {name}/1.0 ")) && line.ends_with('s');
        assert!(ended.stdout.lines().any(ends), "{}", ended.stdout);
    }
    ended
        .says("FAILED d/1.0 d.c:1:2: error: no luck\n")
        .complains("Error! Bad return status for module build");
    assert_eq!(ended.stderr.matches("no luck").count(), 0, "{}", ended.stderr);
    assert!(!ended.stdout.contains("Building module(s)"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("depmod"), "{}", ended.stdout);
    world.write("/usr/src/a-1.0/m.c", "int edited;");
    let ended = world.dkms(&["autoinstall", "--verbose", "-j", "4"]);
    let step = |line: &str| line.starts_with("a/1.0: make") && line.ends_with("... done.");
    assert!(ended.stdout.lines().any(step), "{}", ended.stdout);
}

#[test]
fn the_administrators_command_runs_once_after_it_all() {
    let world = World::new();
    world.write(
        "/etc/dkms/framework.conf",
        "post_transaction='echo done $kernelver >> $DKMS_SCRATCH/after'\n",
    );
    for name in ["a", "b"] {
        world.package(name, "1.0");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["autoinstall"]);
    world.ok(&["autoinstall"]);
    assert_eq!(fs::read_to_string(world.scratch("after")).unwrap(), format!("done {K}\n"));
}

#[test]
fn longest_build_starts_first() {
    let world = World::new();
    world.kernel("6.1.0-2-amd64").headers();
    // By what is known of a first build, and by the size of the source where nothing is.
    world.package("a-short", "1.0");
    world.package("b-large", "1.0").file("big.c", "x".repeat(1 << 20));
    world.package("c-long", "1.0").recipe(&format!("[ $kernelver != {K} ] || sleep 1.5"));
    world.package("d-needed", "1.0");
    world.package("e-user", "1.0").conf("BUILD_DEPENDS=d-needed").file("big.c", "x".repeat(2 << 20));
    for name in ["a-short", "b-large", "c-long", "d-needed", "e-user"] {
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let order = |kernel: &str| -> Vec<String> {
        let ended = world.ok(&["autoinstall", "-j", "1", "-k", kernel]);
        let begun = ended.stdout.lines().filter_map(|line| line.strip_prefix("Building "));
        begun.map(|line| line.split('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(order(K), ["d-needed", "e-user", "b-large", "a-short", "c-long"]);
    assert_eq!(order("6.1.0-2-amd64")[0], "c-long");
}

/// systemd-inhibit(1), which holds its lock as long as its program runs.
const INHIBIT: &str =
    "echo \"$*\" >> @LOG@/inhibit; for last; do :; done; touch @LOG@/held; $last; rm @LOG@/held";

#[rstest]
#[case::default("", true)]
#[case::switched_off("inhibit_shutdown=no\n", false)]
fn shutdown_waits_for_builds(#[case] conf: &str, #[case] waits: bool) {
    let world = World::new();
    world.write("/etc/dkms/framework.conf", conf);
    world.program("systemd-inhibit", INHIBIT);
    let held = "if [ -e $DKMS_SCRATCH/../log/held ]; then echo held >> $DKMS_SCRATCH/seen; fi";
    for name in ["a", "b"] {
        world.package(name, "1.0").recipe(&format!("sleep 0.3; {held}"));
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.hook("header-postinst", &[K]).exits(0);
    let expected = "--what=shutdown:sleep --mode=block --who=dkms --why=Kernel modules are being built: a/1.0, b/1.0 cat";
    assert_eq!(world.calls("inhibit"), if waits { vec![expected] } else { vec![] });
    assert_eq!(world.scratch("seen").exists(), waits);
    assert!(world.calls("held").is_empty() && !world.scratch("../log/held").exists());
    // Nothing to build: nothing is held.
    world.hook("header-postinst", &[K]).exits(0);
    assert_eq!(world.calls("inhibit").len(), usize::from(waits));
}

#[rstest]
#[case::plenty("8000000", 2, 300)]
#[case::little("300000", 1, 5)]
fn memory_limits_how_many_builds_run(#[case] available: &str, #[case] expected: usize, #[case] tries: usize) {
    let world = World::new();
    world.write("/proc/meminfo", format!("MemTotal: 8000000 kB\nMemAvailable: {available} kB\n"));
    for name in ["a", "b"] {
        // On a busy machine the second build may start late.
        let recipe = format!(
            "touch $DKMS_SCRATCH/run-{name}
             for i in $(seq {tries}); do [ \"$(ls $DKMS_SCRATCH | grep -c run-)\" -gt 1 ] && break; sleep 0.1; done
             count=$(ls $DKMS_SCRATCH | grep -c run-)
             echo $count >> $DKMS_SCRATCH/counts
             [ $count = 1 ] || sleep 0.5
             rm $DKMS_SCRATCH/run-{name}"
        );
        world.package(name, "1.0").recipe(&recipe);
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["autoinstall", "-j", "4"]);
    let counts = fs::read_to_string(world.scratch("counts")).unwrap();
    let most = counts.lines().map(|line| line.parse::<usize>().unwrap()).max();
    assert_eq!(most, Some(expected), "{counts}");
}

#[test]
fn last_line_names_every_driver_that_is_lost() {
    let world = World::new();
    world.package("bad", "1.0").recipe("exit 2");
    world.package("user", "1.0").conf("BUILD_DEPENDS=bad");
    world.package("waits", "1.0").conf("BUILD_DEPENDS=unknown");
    for id in ["bad/1.0", "user/1.0", "waits/1.0"] {
        world.ok(&["add", id]);
    }
    let ended = world.dkms(&["autoinstall"]);
    ended.exits(11).says("FAILED user/1.0 needs bad, which could not be installed");
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert_eq!(last, format!("Hardware that depends on bad, user, waits will not work with kernel {K}."));
    assert_eq!(ended.stderr.matches("BUILD_DEPENDS").count(), 0, "{}", ended.stderr);
}
