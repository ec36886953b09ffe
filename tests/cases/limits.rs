//! What a package writes costs no more than stated: time, memory, disk and lines on the screen.

use crate::world::{K, World, line, wait_until};
use rstest::rstest;
use std::fs;

fn with_conf(lines: &str) -> World {
    let world = World::new();
    world.package("m", "1.0").conf(lines);
    world
}

#[rstest]
#[case("${x%%*a*b}")]
#[case("${x##*a*b*c*d*a*b*z}")]
#[case("${x%%*a*a*a*a*a*a*b}")]
fn trimming_a_long_value_takes_no_time(#[case] expression: &str) {
    let world = with_conf(&format!("x={}\ny={expression}", "a".repeat(2000)));
    let ended = world.ok(&["install", "m/1.0"]);
    ended.check(ended.took.as_secs() < 20, "less than 20 seconds");
}

#[rstest]
#[case::doubled(&format!("x=aaaaaaaaaaaaaaaa\n{}", "x=$x$x\n".repeat(30)))]
#[case::repeated(&format!("x={}\ny={}", "a".repeat(60_000), "$x".repeat(20_000)))]
#[case::appended(&format!("x={}\n{}", "a".repeat(60_000), "y+=$x\n".repeat(9_000)))]
#[case::replaced(&format!("x={}\ny=${{x//a/{}}}", "a".repeat(60_000), "b".repeat(60_000)))]
#[ignore = "slow: make test-slow"]
fn growing_value_has_a_bound_of_memory(#[case] lines: &str) {
    let world = with_conf(lines);
    // 1.5 GB for everything that is started, and a tenth of that is what it should take.
    let ended = world.shell("ulimit -v 1500000; dkms add m/1.0");
    let codes = [0, 1, 4, 8];
    ended.check(ended.code.is_some_and(|code| codes.contains(&code)), "an error message, or none");
    ended.is_silent_about("panicked").is_silent_about("memory allocation of");
}

#[test]
fn output_without_end_is_cut_off() {
    let world = with_conf("yes >&2\nyes");
    let ended = world.shell("ulimit -v 1500000; dkms add m/1.0");
    ended.is_silent_about("memory allocation of");
    ended.check(ended.stderr.len() < 100_000 && ended.stdout.len() < 100_000, "a few lines");
    ended.check(ended.took.as_secs() < 50, "an end");
}

#[test]
#[ignore = "slow: make test-slow"]
fn detached_process_does_not_outlive_the_limit() {
    let mark = format!("300.{}", std::process::id());
    let detached = format!("setsid sh -c ': > \"$DKMS_SCRATCH/left\"; exec sleep {mark}' &\nsleep 300");
    let world = with_conf(&detached);
    let running = world.start(&["add", "m/1.0"]);
    wait_until("it has begun", || world.scratch("left").exists());
    running.wait().exits(4).complains("not evaluated within");
    // Its own process number means nothing outside of its namespace.
    let line = format!("sleep\0{mark}\0").into_bytes();
    wait_until("it is gone", || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        !processes
            .map(|process| process.path().join("cmdline"))
            .any(|file| fs::read(file).is_ok_and(|read| read == line))
    });
}

#[test]
fn large_log_needs_no_memory() {
    let world = World::new();
    world.package("m", "1.0").recipe("echo 'm.c:1: error: first' >&2; truncate -s 3G make.log; exit 2");
    let ended = world.shell("ulimit -v 1500000; dkms install m/1.0");
    ended.exits(10).complains("m.c:1: error: first");
}

#[test]
fn large_conf_is_refused() {
    let world = World::new();
    world.package("m", "1.0").whole_conf(&"# nothing\n".repeat(200_000));
    world.dkms(&["add", "m/1.0"]).exits(4).complains("larger than");
}

#[test]
fn index_of_a_directive_costs_nothing() {
    let world = with_conf("BUILT_MODULE_NAME[4000000000]=x\nDEST_MODULE_LOCATION[4000000000]=/updates");
    let ended = world.dkms(&["add", "m/1.0"]);
    ended.check(ended.took.as_secs() < 20, "less than 20 seconds");
}

#[test]
fn real_conf_is_within_the_limits() {
    let world = with_conf(
        "for i in 1 2 3; do BUILD_DEPENDS[$i]=; done\nlong=$(printf '%2000s' x)\nSTRIP=${long:0:0}no",
    );
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}
