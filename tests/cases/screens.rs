//! What the screen shows: on terminals of two widths, on one that can do nothing, without colour, and in a pipe.

use crate::world::{A, K, World, wait_until};
use rstest::rstest;

const RED: &str = "\u{1b}[1;31m";
const GREEN: &str = "\u{1b}[32m";

/// One package of each state.
fn world() -> World {
    let world = World::new();
    for name in ["good", "stale", "added"] {
        world.package(name, "1.0");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    // kbuild names files by their whole path.
    let long =
        "$PWD/driver/razerkbd_driver.c:3124:5: error: too few arguments to function 'hid_report_raw_event'";
    world.package("openrazer-driver", "3.5.1").recipe(&format!("echo \"{long}\"; exit 2"));
    world.ok(&["install", "good/1.0"]);
    world.ok(&["install", "stale/1.0"]);
    world.write("/usr/src/stale-1.0/m.c", "int edited;");
    world.dkms(&["install", "openrazer-driver/3.5.1"]).exits(10);
    world
}

/// Whether a duration that is not zero follows the text: how long anything takes depends on the machine.
fn shows_seconds(screen: &str, text: &str) -> bool {
    let after = screen.split(text).skip(1);
    let digits = after.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    digits.into_iter().any(|digits| digits.parse().is_ok_and(|seconds: u64| seconds > 0))
}

#[rstest]
#[case::narrow(80, "FAILED ", "too few arguments to fun...")]
#[case::wide(120, "FAILED ", "too few arguments to function 'hid_report_raw_event'")]
fn status_has_columns_that_fit(#[case] columns: usize, #[case] state: &str, #[case] reason: &str) {
    let world = world();
    let plain = [("NO_COLOR", "1")];
    let ended = world.on_terminal(columns, &plain, "dkms status");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "PACKAGE                 KERNEL         STATE");
    assert_eq!(lines[1], "added/1.0                              added");
    assert_eq!(lines[2], format!("good/1.0                {K}  installed"));
    let failed = lines[3].strip_prefix(&format!("openrazer-driver/3.5.1  {K}  {state}")).unwrap();
    assert_eq!(&failed[2..3], ":", "{failed}");
    assert_eq!(&failed["23:18: ".len()..], reason);
    assert_eq!(lines[4], format!("stale/1.0               {K}  installed, stale: its source has changed"));
    assert!(lines.iter().all(|line| line.chars().count() <= columns), "{}", ended.stdout);
}

/// Lists fit, and terminals that know no colour get none; a pipe gets the same words.
#[rstest]
fn every_screen_suits_its_terminal(
    #[values(
        "status",
        "history",
        "log",
        "check",
        "lint openrazer-driver/3.5.1",
        "why openrazer-driver",
        "help"
    )]
    line: &str,
    #[values(80, 120)] columns: usize,
) {
    let world = world();
    let shown = |env: &[(&str, &str)]| world.on_terminal(columns, env, &format!("dkms {line}")).stdout;
    let plain = shown(&[("NO_COLOR", "1")]);
    assert!(!plain.is_empty());
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert_eq!(shown(&[("TERM", "dumb")]), plain);
    // Paths of logs are whole, and a command can be copied.
    if matches!(line, "status" | "history" | "help") {
        assert!(plain.lines().all(|line| line.chars().count() <= columns), "{plain}");
    }
    let coloured = shown(&[]);
    let mut rest = coloured.as_str();
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    assert_eq!(text + rest, plain);
    let piped = world.on_terminal(columns, &[], &format!("dkms {line} | cat")).stdout;
    assert!(!piped.contains('\u{1b}') && !piped.is_empty(), "{piped}");
}

#[test]
fn reason_of_a_failure_is_seen_at_eighty_columns() {
    let world = world();
    for line in ["dkms status", "dkms history"] {
        world.on_terminal(80, &[("NO_COLOR", "1")], line).says(": too f");
    }
    let place =
        "driver/razerkbd_driver.c:3124:5: error: too few arguments to function 'hid_report_raw_event'";
    world.dkms(&["check"]).says(&format!("it failed to build: {place}"));
    let ended = world.dkms(&["autoinstall"]);
    ended.exits(11).is_silent_about("build/driver/razer");
}

#[test]
fn colour_is_for_terminals_that_have_it() {
    let world = world();
    let ended = world.on_terminal(80, &[], "dkms status");
    assert!(ended.stdout.contains(&format!("{GREEN}installed\u{1b}[0m")), "{}", ended.stdout);
    assert!(ended.stdout.contains(&format!("{RED}FAILED ")), "{}", ended.stdout);
    for env in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let ended = world.on_terminal(80, &env, "dkms status");
        assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
        ended.says("stale: its source has changed");
    }
}

#[test]
fn pipe_gets_the_lines_of_every_dkms() {
    let world = world();
    let expected = format!(
        "added/1.0: added\ngood/1.0, {K}, {a}: installed\nopenrazer-driver/3.5.1: added\nstale/1.0, {K}, {a}: installed\n",
        a = *A
    );
    assert_eq!(world.ok(&["status"]).stdout, expected);
    let ended = world.on_terminal(80, &[], "dkms status | cat");
    assert_eq!(ended.stdout, expected);
}

#[test]
fn status_shows_architecture_of_foreign_builds() {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.ok(&["build", "m/1.0", "-a", "riscv64"]);
    let ended = world.on_terminal(80, &[("NO_COLOR", "1")], "dkms status");
    assert_eq!(
        ended.stdout,
        format!("PACKAGE  KERNEL         ARCH     STATE\nm/1.0    {K}  riscv64  built\n")
    );
}

#[test]
fn empty_status_tells_newcomers_what_to_do() {
    let world = World::new();
    world.on_terminal(80, &[], "dkms status").says("No package is registered. To register one: dkms add");
    assert_eq!(world.ok(&["status"]).stdout, "");
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.on_terminal(80, &[], "dkms status n").says("No registered package matches.");
}

#[test]
fn terminal_shows_one_line_while_packages_are_built() {
    let world = World::new();
    for name in ["a", "b"] {
        world.package(name, "1.0").recipe("[ -e $DKMS_SCRATCH/again ] || sleep 2.2");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let ended = world.on_terminal(80, &[("NO_COLOR", "1")], "dkms autoinstall -j 4");
    ended.exits(0);
    let live = format!("Building 2 packages for {K}  [0/2]  ");
    assert!(ended.stdout.contains(&live), "{:?}", ended.stdout);
    assert!(shows_seconds(&ended.stdout, "a/1.0 "), "{:?}", ended.stdout);
    // What remains: a line for each package and the summary.
    let last: Vec<&str> = ended.stdout.lines().rev().take(1).collect();
    assert_eq!(last, [format!("Autoinstall on {K} succeeded for module(s) a b.")]);
    assert!(shows_seconds(&ended.stdout, "ok a/1.0 "), "{:?}", ended.stdout);
    // The second time there is an estimate.
    std::fs::write(world.scratch("again"), "").unwrap();
    let ended = world.on_terminal(80, &[("NO_COLOR", "1")], "dkms build a/1.0 --force");
    assert!(ended.stdout.contains("Building a/1.0 0s of ~"), "{:?}", ended.stdout);
    assert!(ended.stdout.contains("Building module(s)... done.\n"), "{:?}", ended.stdout);
}

#[rstest]
#[case::dumb("dumb", "")]
#[case::below_apt("xterm", "linux-headers-6.1.0-1-amd64")]
fn line_is_not_live_where_it_would_disturb(#[case] terminal: &str, #[case] package: &str) {
    let world = World::new();
    world.package("a", "1.0").recipe("sleep 1.2");
    world.ok(&["add", "a/1.0"]);
    let env = [("TERM", terminal), ("DPKG_MAINTSCRIPT_PACKAGE", package), ("NO_COLOR", "1")];
    let ended = world.on_terminal(80, &env, "dkms autoinstall");
    ended.says(&format!("Building a/1.0 for {K}; log: ")).says("\nok a/1.0 ");
    assert!(!ended.stdout.contains('\r') && !ended.stdout.contains('\u{1b}'), "{:?}", ended.stdout);
}

#[test]
fn log_gets_lines_while_a_build_goes_on() {
    let mut world = World::new();
    world.package("a", "1.0").recipe("sleep 1.4");
    world.ok(&["add", "a/1.0"]);
    world.set("DKMS_PROGRESS_SECONDS", "1");
    let ended = world.ok(&["autoinstall"]);
    ended.says("a/1.0: still building after ").says("s; log: ");
    // The lines that callers know stay whole.
    let ended = world.ok(&["build", "a/1.0", "--force"]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines.contains(&"Building module(s)... done."), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("a/1.0: still building after ")), "{lines:?}");
}

#[test]
fn summary_names_failed_command_and_its_log() {
    let world = World::new();
    for name in ["a", "b"] {
        world.package(name, "1.0").recipe("echo 'm.c:1:2: error: no'; exit 2");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let ended = world.dkms(&["autoinstall"]);
    ended.exits(11);
    for name in ["a", "b"] {
        let command =
            ended.stdout.lines().find(|line| line.starts_with(&format!("{name}/1.0: Failed command: make")));
        let log =
            format!("(log: {})", world.path(format!("/var/lib/dkms/{name}/1.0/build/make.log")).display());
        assert!(command.unwrap().ends_with(&log), "{}", ended.stdout);
    }
    ended.complains(&format!("Hardware that depends on a, b will not work with kernel {K}."));
    // A failure that is remembered has two lines; the lines that callers know stay whole.
    let again = world.dkms(&["autoinstall"]);
    again.exits(11).complains("\nRefer to previous errors for more information.\n");
    let errors = again.stderr.split("\nError! ").filter(|error| error.contains("will not retry"));
    let lines: Vec<usize> = errors.map(|error| error.trim_end().lines().count()).collect();
    assert_eq!(lines, [2, 2], "{}", again.stderr);
}

#[test]
fn terminal_says_where_several_logs_are() {
    let world = World::new();
    for name in ["a", "b"] {
        world.package(name, "1.0");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let ended = world.on_terminal(120, &[("NO_COLOR", "1")], "dkms autoinstall -j 4");
    ended.exits(0).says("/var/lib/dkms/PACKAGE/VERSION/build/make.log (to follow one: dkms log -f PACKAGE)");
    let again = world.on_terminal(120, &[("NO_COLOR", "1")], "dkms autoinstall -j 4");
    again.exits(0).is_silent_about("PACKAGE/VERSION");
}

#[test]
fn running_log_is_readable_for_others() {
    let world = World::new();
    world
        .package("a", "1.0")
        .recipe("echo so far; while [ ! -e $DKMS_SCRATCH/go ]; do sleep 0.05; done; echo the end");
    world.ok(&["add", "a/1.0"]);
    let running = world.start(&["build", "a/1.0"]);
    let log = "/var/lib/dkms/a/1.0/build/make.log";
    wait_until("the log is there", || world.has(log) && world.read(log).contains("so far"));
    world.as_ordinary_user(&["log", "a"], &[]).exits(0).says("so far").complains("running");
    let follower = world.start(&["log", "--follow", "a"]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    std::fs::write(world.scratch("go"), "").unwrap();
    running.wait().exits(0);
    follower
        .wait()
        .exits(0)
        .says("so far")
        .says("the end\n")
        .says("# exit code: 0")
        .complains("The build of a/1.0 has ended.");
    assert!(!world.has(log), "{:?}", world.tree());
}

#[test]
fn interrupted_run_names_what_is_left() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.package(name, "1.0").recipe("touch $DKMS_SCRATCH/started; sleep 100");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.package("quick", "1.0");
    world.ok(&["add", "quick/1.0"]);
    let running = world.start_in_terminal(&["autoinstall", "-j", "4"]);
    wait_until("all have started", || world.scratch("started").exists() && world.calls("make").len() == 4);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(running.pid()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let ended = running.wait();
    ended.exits(130);
    assert_eq!(
        ended.stderr,
        "\nError! Interrupted; unfinished work was undone. Not installed: a/1.0, b/1.0, c/1.0.\n"
    );
    assert!(ended.took.as_secs() < 60, "{:?}", ended.took);
    assert_eq!(world.status().iter().filter(|line| line.contains("installed")).count(), 1);
}

#[test]
fn waiting_run_shows_what_is_being_built() {
    let world = World::new();
    for name in ["slow", "other"] {
        world
            .package(name, "1.0")
            .recipe("touch $DKMS_SCRATCH/started; while [ ! -e $DKMS_SCRATCH/go ]; do sleep 0.05; done");
    }
    world.ok(&["add", "slow/1.0"]);
    let first = world.start(&["build", "slow/1.0"]);
    wait_until("the build has started", || world.scratch("started").exists());
    let env = [("NO_COLOR", "1")];
    let ended = world.on_terminal(120, &env, "(sleep 3; touch $DKMS_SCRATCH/go) & dkms add other/1.0; wait");
    ended.exits(0).says("(building slow/1.0 for ").says(": building slow/1.0 for ");
    ended.says("Creating symlink");
    first.wait().exits(0);
}

#[test]
fn terminal_without_size_has_the_usual_width() {
    let world = world();
    let ended = world.on_terminal(0, &[("NO_COLOR", "1")], "dkms status");
    ended
        .says("FAILED ")
        .says("too few arguments to fun...\n")
        .says("installed, stale: its source has changed");
}

#[test]
fn follower_of_a_log_learns_that_the_build_failed() {
    let world = World::new();
    world
        .package("a", "1.0")
        .recipe("while [ ! -e $DKMS_SCRATCH/go ]; do sleep 0.05; done; echo 'a.c:1: error: no'; exit 2");
    world.ok(&["add", "a/1.0"]);
    let running = world.start(&["build", "a/1.0"]);
    wait_until("the log is there", || world.has("/var/lib/dkms/a/1.0/build/make.log"));
    let follower = world.start(&["log", "-f", "a"]);
    wait_until("it follows", || follower.stderr().contains("running"));
    std::fs::write(world.scratch("go"), "").unwrap();
    running.wait().exits(10);
    follower.wait().exits(0).says("a.c:1: error: no").complains("The build of a/1.0 has failed.");
}
