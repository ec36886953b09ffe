//! `log`, `history`, `lint`, and the documents of install and autoinstall.

use crate::world::{A, K, World};
use rstest::rstest;
use serde_json::{Value, json};

const OTHER: &str = "6.1.0-2-amd64";

/// `good` builds for both kernels, `bad` for none.
fn world() -> World {
    let world = World::new();
    world.kernel(OTHER).headers();
    world.package("good", "1.0").recipe("echo made for $kernelver");
    world.package("bad", "2.0").recipe("echo \"bad.c:1:2: error: no luck on $kernelver\"; exit 2");
    for package in ["good/1.0", "bad/2.0"] {
        world.ok(&["add", package]);
    }
    for kernel in [K, OTHER] {
        world.dkms(&["autoinstall", "-k", kernel]).exits(11);
    }
    world
}

#[test]
fn each_kernel_keeps_its_failure_log() {
    let world = world();
    let ended = world.dkms(&["build", "bad/2.0", "--force", "-k", K, "-k", OTHER]);
    let consulted: Vec<&str> =
        ended.stderr.split("Consult ").skip(1).map(|rest| rest.split(" for more").next().unwrap()).collect();
    for (kernel, log) in [K, OTHER].into_iter().zip(&consulted) {
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains(&format!("no luck on {kernel}")), "{log}");
    }
    assert_eq!(consulted.len(), 2, "{}", ended.stderr);
    for kernel in [K, OTHER] {
        world.ok(&["log", "bad", "-k", kernel]).says(&format!("no luck on {kernel}")).says("# command: make");
        world.ok(&["log", "good", "-k", kernel]).says(&format!("made for {kernel}"));
    }
    world.ok(&["log", "bad"]).says(&format!("no luck on {OTHER}")).complains("bad/2.0 for kernel");
    let status: Value = serde_json::from_str(&world.ok(&["status", "--format", "json"]).stdout).unwrap();
    let failures = status["packages"][0]["failures"].as_array().unwrap();
    for failure in failures {
        let log = std::fs::read_to_string(failure["log"].as_str().unwrap()).unwrap();
        let kernel = failure["kernel"].as_str().unwrap();
        assert!(log.contains(&format!("no luck on {kernel}")), "{log}");
        assert!(failure["duration_ms"].is_number(), "{failure}");
    }
    assert_eq!(failures.len(), 2);
    let listed = world.ok(&["log"]).stdout;
    assert_eq!(listed.lines().filter(|line| line.contains("FAILED")).count(), 2, "{listed}");
    assert_eq!(listed.lines().filter(|line| line.contains("built")).count(), 2, "{listed}");
}

#[test]
fn success_takes_the_failure_log_away() {
    let world = world();
    world.package("bad", "2.0").recipe("");
    world.ok(&["install", "bad/2.0"]);
    assert!(!world.has(&format!("/var/lib/dkms/bad/2.0/.dkms-failed-{K}-{}.log", *A)));
    assert!(world.has(&format!("/var/lib/dkms/bad/2.0/.dkms-failed-{OTHER}-{}.log", *A)));
    world.ok(&["kernel_prerm", "-k", OTHER]);
    assert!(!world.has(&format!("/var/lib/dkms/bad/2.0/.dkms-failed-{OTHER}-{}.log", *A)));
    world.ok(&["remove", "bad/2.0", "--all"]);
    assert!(!world.has("/var/lib/dkms/bad"));
}

#[test]
fn log_names_what_is_missing() {
    let world = World::new();
    world.ok(&["log"]).says("There is no log: nothing has been built.");
    world.dkms(&["log", "m"]).exits(3).complains("The module m is not located in the DKMS tree.");
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.dkms(&["log", "m"]).exits(1).complains("m has no log: it has not been built.");
    world.dkms(&["log", "m", "-k", K]).exits(1).complains(&format!("m has no log for kernel {K}"));
    world.dkms(&["log", "--follow"]).exits(2).complains("takes a package");
    world.ok(&["build", "m/1.0"]);
    world.ok(&["log", "-f", "m"]).complains("No build of m/1.0 is running.");
}

#[test]
fn any_log_reaches_pipe_and_terminal_safely() {
    let world = World::new();
    world
        .package("m", "1.0")
        .recipe("printf 'caf\\303\\251 \\377 \\033[31mred\\n'; head -c 200000 /dev/zero | tr '\\0' x");
    world.ok(&["install", "m/1.0"]);
    let ended = world.ok(&["log", "m"]);
    ended.says("caf\u{e9} \u{fffd} ");
    assert!(!ended.stdout.contains('\u{1b}'));
    assert!(ended.stdout.contains(&"x".repeat(200_000)));
}

#[test]
fn history_names_trigger_and_end_of_each_attempt() {
    let world = world();
    let env = [("DPKG_MAINTSCRIPT_PACKAGE", "linux-headers-x")];
    world.package("good", "1.0").recipe("echo edited");
    world.hook_with("header-postinst", &[K], &env).exits(0);
    world.package("good", "1.0").recipe("echo edited again");
    world.hook("boot", &[K]).exits(1);
    world.ok(&["build", "good/1.0", "--force"]);
    let lines: Vec<String> = world.ok(&["history", "good"]).stdout.lines().map(str::to_owned).collect();
    let fields =
        |line: &str| line.split("  ").filter(|f| !f.is_empty()).map(|f| f.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = lines.iter().skip(1).map(|line| fields(line)).collect();
    let shown: Vec<[&str; 4]> = rows.iter().map(|row| [&*row[1], &*row[2], &*row[3], &*row[5]]).collect();
    assert_eq!(
        shown,
        [
            ["by hand", "good/1.0", K, "installed"],
            ["by hand", "good/1.0", OTHER, "installed"],
            ["apt (linux-headers-x)", "good/1.0", K, "installed"],
            ["boot", "good/1.0", K, "installed"],
            ["by hand", "good/1.0", K, "built"],
        ]
    );
    let failed = world.ok(&["history", "bad", "-k", K]).stdout;
    assert!(failed.contains(&format!("FAILED: bad.c:1:2: error: no luck on {K}")), "{failed}");
    let document: Value = serde_json::from_str(&world.ok(&["history", "--format", "json"]).stdout).unwrap();
    let first = &document["attempts"][0];
    assert_eq!((&first["trigger"], &first["kernel"]), (&json!("by hand"), &json!(K)));
}

#[test]
fn history_survives_garbage_and_does_not_follow_links() {
    let world = World::new();
    world.ok(&["history"]).says("No attempt is recorded.");
    world.write("/var/log/dkms/history.jsonl", "{\nnot json\n{\"at\": \"torn");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.ok(&["history"]).stdout.lines().count(), 2);
    std::fs::remove_file(world.path("/var/log/dkms/history.jsonl")).unwrap();
    let victim = world.scratch("victim");
    std::fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, world.path("/var/log/dkms/history.jsonl")).unwrap();
    world.ok(&["build", "m/1.0", "--force"]);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
}

#[test]
fn history_is_bounded() {
    let world = World::new();
    let line = json!({"at": "2026-01-01T00:00:00+00:00", "trigger": "boot", "tree": world.path("/var/lib/dkms"), "name": "old",
        "version": "1", "kernel": K, "arch": *A, "result": "installed", "code": 0, "duration_ms": 1});
    world.write("/var/log/dkms/history.jsonl", format!("{line}\n").repeat(8000));
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let size = std::fs::metadata(world.path("/var/log/dkms/history.jsonl")).unwrap().len();
    assert!(size < 1 << 20, "{size}");
    let listed = world.ok(&["history"]).stdout;
    assert!(listed.lines().count() > 1000 && listed.lines().last().unwrap().contains("m/1.0"));
}

fn lint(conf: &str, files: &[(&str, &str)]) -> (Option<i32>, String) {
    let world = World::new();
    let dir = world.scratch("src");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("m.c"), "").unwrap();
    for (name, content) in files {
        std::fs::write(dir.join(name), content).unwrap();
    }
    std::fs::write(dir.join("dkms.conf"), conf).unwrap();
    let ended = world.dkms(&["lint", dir.to_str().unwrap()]);
    (ended.code, ended.stdout.replace(&format!("{}/", dir.display()), ""))
}

const GOOD: &str = "PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME[0]=m\nDEST_MODULE_LOCATION[0]=/extra\nAUTOINSTALL=yes\n";

#[test]
fn lint_is_content_with_a_good_package() {
    assert_eq!(lint(GOOD, &[]), (Some(0), "dkms.conf: no problem found.\n".to_owned()));
}

#[rstest]
#[case::typo(
    "AUTOINSTAL=yes",
    1,
    "dkms.conf:6: warning: AUTOINSTAL is not a directive. Did you mean AUTOINSTALL?"
)]
#[case::unused("MAINTAINER=me", 0, "dkms.conf:6: hint: MAINTAINER is not a directive, and nothing uses it.")]
#[case::running(
    "MAKE[0]=\"make KVER=`uname -r`\"",
    1,
    "dkms.conf:6: warning: `uname -r` is the running kernel"
)]
#[case::script("PRE_BUILD=pre.sh", 1, "dkms.conf:6: warning: PRE_BUILD names pre.sh, which does not exist")]
#[case::not_executable(
    "PRE_BUILD=m.c",
    1,
    "warning: PRE_BUILD names m.c, which is not executable and is skipped: chmod"
)]
#[case::patch("PATCH[0]=a.patch", 1, "dkms.conf:6: error: PATCH names a.patch, which is not in patches/")]
#[case::deprecated("REMAKE_INITRD=yes", 0, "dkms.conf:6: hint: REMAKE_INITRD is deprecated. Remove it")]
#[case::clean(
    "CLEAN='make clean'",
    0,
    "hint: CLEAN is deprecated. Remove it: every build starts from a fresh copy"
)]
#[case::expression(
    "BUILD_EXCLUSIVE_KERNEL='^(6'",
    1,
    "dkms.conf:6: error: BUILD_EXCLUSIVE_KERNEL \"^(6\" is not a regular expression"
)]
#[case::flag("NO_WEAK_MODULES=maybe", 1, "dkms.conf:6: error: Unsupported NO_WEAK_MODULES value 'maybe'")]
#[case::second_reading(
    "MAKE[0]=\"make CFLAGS=\\\"-O2 -g\\\"\"",
    1,
    "dkms.conf:6: warning: The value of MAKE is lost"
)]
#[case::mkdeb("PACKAGE_NAME=m%x", 0, "hint: dkms mkdeb refuses it: ")]
fn lint_finds(#[case] line: &str, #[case] code: i32, #[case] expected: &str) {
    let (found, text) = lint(&format!("{GOOD}{line}\n"), &[]);
    assert!(text.contains(expected), "{text}");
    assert_eq!(found, Some(code), "{text}");
}

#[test]
fn lint_knows_that_debian_ignores_the_location() {
    let conf = "PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=m\n";
    let (code, text) = lint(conf, &[]);
    assert!(
        text.contains(
            "hint: DEST_MODULE_LOCATION is not set. This distribution installs modules to /updates/dkms"
        ),
        "{text}"
    );
    assert!(text.contains("hint: AUTOINSTALL is not \"yes\""), "{text}");
    assert_eq!(code, Some(0));
}

#[rstest]
#[case::asks("all:\n\tmake -C /lib/modules/$(shell uname -r)/build M=$(PWD)\n", "MAKE[0]=\"make all\"", true)]
#[case::is_told("KVER ?= $(shell uname -r)\n", "MAKE[0]=\"make KVER=$kernelver\"", false)]
#[case::kbuild(
    "ifneq ($(KERNELRELEASE),)\nelse\nK=$(shell uname -r)\nendif\n",
    "MAKE[0]=\"make all\"",
    false
)]
#[case::default_make("K=$(shell uname -r)\n", "", false)]
fn lint_reads_the_makefile(#[case] makefile: &str, #[case] make: &str, #[case] is_wrong: bool) {
    let (code, text) = lint(&format!("{GOOD}{make}\n"), &[("Makefile", makefile)]);
    assert_eq!(text.contains("The Makefile asks `uname -r`"), is_wrong, "{text}");
    assert_eq!(code, Some(i32::from(is_wrong)), "{text}");
}

#[test]
fn mistyped_directive_is_mentioned_when_package_is_added() {
    let world = World::new();
    world.package("m", "1.0").conf("AUTOINSTAL=no");
    world.ok(&["install", "m/1.0"]).complains("AUTOINSTAL is not a directive. Did you mean AUTOINSTALL?");
    world.package("n", "1.0").conf("MAKE_OPTIONS=x\nMAKE=\"make $MAKE_OPTIONS\"");
    world.ok(&["install", "n/1.0"]).is_silent_about("is not a directive");
}

fn document(stdout: &str) -> Value {
    serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}\n{stdout}"))
}

#[test]
fn install_reports_whether_it_changed_anything() {
    let world = World::new();
    world.package("m", "1.0");
    let first = document(&world.ok(&["install", "m/1.0", "--format", "json"]).stdout);
    assert_eq!((&first["changed"], &first["exit_code"]), (&json!(true), &json!(0)));
    assert_eq!(first["packages"][0]["result"], "installed");
    let forced = world.ok(&["install", "m/1.0", "--force", "--verbose", "--format", "json"]).stdout;
    assert!(forced.starts_with('{') && document(&forced)["changed"] == true, "{forced:?}");
    let ended = world.ok(&["install", "m/1.0", "--format", "json"]);
    ended.complains("already installed");
    assert!(ended.stdout.starts_with('{'), "{:?}", ended.stdout);
    let second = document(&ended.stdout);
    assert_eq!((&second["changed"], &second["packages"]), (&json!(false), &json!([])));
    world.dkms(&["install", "m/1.0", "--format", "yaml"]).exits(2);
    world.dkms(&["install", "m/1.0", "--format", "json", "--dry-run"]).exits(2);
}

#[test]
fn autoinstall_reports_each_package() {
    let world = World::new();
    world.package("good", "1.0");
    world.package("bad", "1.0").recipe("echo 'x.c:1: error: no'; exit 2");
    world.package("old", "1.0").conf("BUILD_EXCLUSIVE_KERNEL_MAX=5.0");
    world.package("user", "1.0").conf("BUILD_DEPENDS=nowhere");
    for name in ["good", "bad", "old", "user"] {
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let ended = world.dkms(&["autoinstall", "--format", "json"]);
    ended.exits(11).complains("FAILED bad/1.0 x.c:1: error: no");
    let report = document(&ended.stdout);
    let mut results: Vec<(&str, &str)> = report["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["name"].as_str().unwrap(), package["result"].as_str().unwrap()))
        .collect();
    results.sort_unstable();
    assert_eq!(results, [("bad", "failed"), ("good", "installed"), ("old", "skipped"), ("user", "waiting")]);
    assert_eq!((&report["changed"], &report["exit_code"]), (&json!(true), &json!(11)));
    // The second time nothing is tried, and the failure is still one.
    let again = document(&world.dkms(&["autoinstall", "--format", "json"]).stdout);
    assert_eq!((&again["changed"], &again["exit_code"]), (&json!(false), &json!(11)));
    let bad = again["packages"].as_array().unwrap().iter().find(|package| package["name"] == "bad").unwrap();
    assert_eq!((&bad["result"], &bad["code"]), (&json!("failed"), &json!(10)));
}

#[test]
fn report_is_printed_where_nothing_can_be_done() {
    let world = World::new();
    world.package("m", "1.0");
    let ended = world.dkms(&["install", "m/1.0", "-k", "9.9", "--format", "json"]);
    let report = document(&ended.stdout);
    assert_eq!(report["changed"], false);
    assert_eq!(report["exit_code"], ended.code.unwrap());
    assert!(report["error"].as_str().is_some_and(|text| !text.is_empty()), "{report}");
}

#[rstest]
#[case::dnf("dnf", "dnf")]
#[case::unattended("unattended-upgrade", "unattended-upgrades")]
#[case::pacman("pacman", "pacman")]
#[case::other("make", "header-postinst")]
fn history_knows_the_package_manager(#[case] program: &str, #[case] trigger: &str) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    // A process of that name, which starts the hook.
    let shell = world.scratch(program);
    std::fs::copy("/bin/sh", &shell).unwrap();
    world.shell(&format!("{} -c '$header_postinst {K}; exit $?'", shell.display())).exits(0);
    let document = document(&world.ok(&["history", "--format", "json"]).stdout);
    assert_eq!(document["attempts"][0]["trigger"], trigger);
}

#[rstest]
#[case::install(&["install", "m/1.0"], 6)]
#[case::autoinstall(&["autoinstall"], 11)]
fn installation_that_was_taken_back_is_a_failure(#[case] line: &[&str], #[case] code: i32) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.tool_does("depmod", "exit 1");
    let ended = world.dkms(&[line, &["--format", "json"]].concat());
    ended.exits(code);
    let report = document(&ended.stdout);
    assert_eq!((&report["changed"], &report["packages"][0]["result"]), (&json!(false), &json!("failed")));
    assert_eq!(report["packages"].as_array().unwrap().len(), 1, "{report}");
    let last = world.ok(&["history"]).stdout.lines().last().unwrap().to_owned();
    assert!(last.contains("FAILED: Problems with depmod detected"), "{last}");
}

#[rstest]
#[case::unknown(&["install", "nosuch"], 1)]
#[case::path(&["install", "/nope"], 1)]
#[case::two_kernels(&["autoinstall", "-k", "1", "-k", "2"], 4)]
fn document_is_printed_for_a_refused_command_line(#[case] line: &[&str], #[case] code: i32) {
    let world = World::new();
    let ended = world.dkms(&[line, &["--format", "json"]].concat());
    ended.exits(code);
    let report = document(&ended.stdout);
    assert_eq!((&report["changed"], &report["exit_code"]), (&json!(false), &json!(code)));
}

#[test]
fn follow_is_for_the_log_alone() {
    let world = World::new();
    world.package("m", "1.0");
    world.dkms(&["install", "m/1.0", "-f"]).exits(2).complains("Unknown option: --follow");
    assert!(world.status().is_empty());
}

#[test]
fn author_learns_to_take_a_directory_over() {
    let world = World::new();
    let dir = world.scratch("src");
    world.package_in(&dir, "m", "1.0");
    let dir = dir.to_str().unwrap();
    world.ok(&["install", dir]);
    std::fs::write(world.scratch("src/m.c"), "int edited;").unwrap();
    let ended = world.dkms(&["install", dir]);
    ended.exits(3).complains(&format!("To take over what {dir} holds now: dkms install --force {dir}"));
    world.ok(&["install", "--force", dir]);
    assert_eq!(world.read("/usr/src/m-1.0/m.c"), "int edited;");
}

#[test]
fn mistyped_kernel_leaves_nothing_behind() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.dkms(&["autoinstall", "-k", "9.9"]).exits(21);
    assert!(!world.has("/var/lib/dkms/.dkms-pending.json"));
    world.ok(&["fsck"]);
}
#[test]
fn each_document_has_its_schema_number() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    for line in [
        &["status"][..],
        &["conf", "m/1.0"],
        &["check"],
        &["history"],
        &["lint", "m/1.0"],
        &["install", "m/1.0"],
    ] {
        let ended = world.dkms(&[line, &["--format", "json"]].concat());
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(document["schema"], 1, "{line:?}: {}", ended.stdout);
    }
}

#[test]
fn failure_of_an_edit_taken_back_is_history() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.write("/usr/src/m-1.0/recipe", "echo 'm.c:1: error: no' >&2; exit 2");
    world.dkms(&["install", "m/1.0"]).exits(10);
    let failures = || {
        let status = world.ok(&["status", "--format", "json"]).stdout;
        let status: Value = serde_json::from_str(&status).unwrap();
        status["packages"][0]["failures"].as_array().unwrap().len()
    };
    assert_eq!(failures(), 1);
    world.on_terminal(120, &[], "dkms status").says("a newer build failed");
    std::fs::remove_file(world.path("/usr/src/m-1.0/recipe")).unwrap();
    assert_eq!(failures(), 0);
    world.ok(&["install", "m/1.0"]).is_silent_about("failed");
    let shown = world.on_terminal(120, &[], "dkms status");
    shown.says("installed").is_silent_about("failed");
}

#[test]
fn mistyped_names_are_answered_everywhere() {
    let world = World::new();
    world.kernel("6.2.0-1-amd64").headers();
    world.package("hello", "0.1");
    world.ok(&["add", "hello/0.1"]);
    for words in [&["history", "helo"][..], &["disable", "helo"], &["check", "helo"], &["why", "helo"]] {
        let ended = world.dkms(words);
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains("Did you mean hello?"), "{words:?}");
    }
    world.on_terminal(80, &[], "dkms status helo").says("Did you mean hello?");
    assert_eq!(world.ok(&["status", "helo"]).stdout, "", "callers parse it");
    for words in [&["check", "-k", "6.2.0-1-amd46"][..], &["why", "hello", "-k", "6.2.0-1-amd46"]] {
        let ended = world.dkms(words);
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(text.contains("Did you mean 6.2.0-1-amd64?"), "{words:?} {text}");
    }
    let ended = world.dkms(&["remove", "helo/0.1", "--all"]);
    ended.complains("Did you mean hello?").is_silent_about("Add it first");
    let ended = world.dkms(&["build", "hello/0.1", "--kernelsourcedir", "/no/such", "--force"]);
    ended.exits(21).complains("The path /no/such does not exist.").is_silent_about("To install them");
}
