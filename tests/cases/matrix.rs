//! Every single system call that changes the file system: the program is killed there, or the call fails. The next command
//! makes the tree what it would have been.

use crate::world::{A, Ended, K, SIGN, World};
use rstest::rstest;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;

/// Calls that change something that outlives the process.
const CHANGES: [&str; 27] = [
    "openat",
    "write",
    "pwrite64",
    "copy_file_range",
    "sendfile",
    "ftruncate",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "lchown",
    "utimensat",
    "fsetxattr",
    "setxattr",
];

/// A line that is printed also when the test succeeds.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One call: its name, and the how-manieth of that name it is in its thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    call: String,
    number: usize,
    shown: String,
}

/// A command on a prepared machine.
struct Scenario {
    program: &'static str,
    args: &'static [&'static str],
    prepare: fn() -> World,
    /// What an administrator, a hook or the boot would run next.
    heal: fn(&World),
}

impl Scenario {
    /// The changing calls of an undisturbed run.
    fn points(&self) -> Vec<Point> {
        let world = (self.prepare)();
        let log = world.scratch("trace");
        let options = ["-o".to_owned(), log.display().to_string(), format!("-etrace={}", CHANGES.join(","))];
        let ended = world.traced(&options, self.program, self.args);
        assert!(ended.code.is_some_and(|code| code != 126 && code != 1), "strace works here: {ended:?}");
        let text = std::fs::read_to_string(log).unwrap();
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut points: BTreeMap<(String, usize), Point> = BTreeMap::new();
        for line in text.lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
            if !CHANGES.contains(&call) {
                continue;
            }
            let number = counts.entry((thread.to_owned(), call.to_owned())).or_default();
            *number += 1;
            let is_change = match call {
                // What a confined program's own /dev is made of outlives nothing.
                "openat" if arguments.contains("\"/dev/") => false,
                "openat" => arguments.contains("O_CREAT") || arguments.contains("O_TRUNC"),
                "write" => !arguments.starts_with("1,") && !arguments.starts_with("2,"),
                _ => true,
            };
            if is_change {
                let shown: String = rest.trim_start().chars().take(160).collect();
                let point = Point { call: call.to_owned(), number: *number, shown };
                points.entry((call.to_owned(), *number)).or_insert(point);
            }
        }
        points.into_values().collect()
    }

    /// Disturbs the command at every point, two at a time; returns how many points there were. Half of all points at least, and
    /// one that gives a finished file its name, or nothing was tried.
    fn disturb(
        &self,
        inject: impl Fn(&Point) -> Option<String> + Sync,
        disturbed: impl Fn(&Ended) -> bool + Sync,
        check: impl Fn(&World) + Sync,
    ) -> usize {
        let points = self.points();
        assert!(points.len() > 5, "{points:#?}");
        let least = points.len().div_ceil(2);
        let queue = Mutex::new(points.into_iter());
        let tried = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let Some(point) = queue.lock().unwrap().next() else { return };
                        let Some(effect) = inject(&point) else { continue };
                        let world = (self.prepare)();
                        let injection = format!("-einject={}:{effect}:when={}", point.call, point.number);
                        let traced = format!("-etrace={}", point.call);
                        let log = world.scratch("injected");
                        let options = ["-o".to_owned(), log.display().to_string(), traced, injection];
                        let ended = world.traced(&options, self.program, self.args);
                        if !disturbed(&ended) {
                            continue;
                        }
                        tried.lock().unwrap().push(point.clone());
                        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&world)));
                        if let Err(why) = result {
                            let text = std::fs::read_to_string(&log).unwrap_or_default();
                            let calls = text.lines().filter(|line| line.contains("INJECTED"));
                            let calls: Vec<&str> = calls.collect();
                            tell(&format!("at {point:?}\n{ended:?}\n{}", calls.join("\n")));
                            std::panic::resume_unwind(why);
                        }
                    }
                });
            }
        });
        let tried = tried.into_inner().unwrap();
        let names = tried.iter().any(|point| point.call.starts_with("rename"));
        assert!(names && tried.len() >= least, "of {least} and more: {tried:#?}");
        tried.len()
    }
}

/// Everything on the machine but what tells times: logs, records, and directories of tools.
fn state(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut all = world.everything();
    let is_log = |name: &str| {
        let is_of_failure = name.contains("/.dkms-failed-") && name.ends_with(".log");
        name.ends_with("make.log") || is_of_failure || name.starts_with("var/log/")
    };
    all.retain(|name, _| !is_log(name) && !name.ends_with(".lock.nested") && !name.ends_with("/.lock"));
    // What a failed build leaves for inspection is kept if it can be.
    if all.keys().any(|name| name.starts_with("var/lib/dkms/m/2.0/.dkms-failed-")) {
        all.retain(|name, _| !name.starts_with("var/lib/dkms/m/2.0/build/"));
    }
    for (name, content) in &mut all {
        let file = name.rsplit('/').next().unwrap();
        if file.starts_with(".dkms-") && file.ends_with(".json") {
            content.clear();
        }
        if file.ends_with(".origin") {
            let text = String::from_utf8_lossy(content).replace(&world.root().display().to_string(), "");
            *content = text.into_bytes();
        }
    }
    all
}

/// Without directories that could not be removed: with nothing in them they do no harm.
fn without_empty(mut all: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let files: Vec<String> = all.keys().filter(|name| !name.ends_with('/')).cloned().collect();
    all.retain(|name, _| !name.ends_with('/') || files.iter().any(|file| file.starts_with(name.as_str())));
    all
}

fn differences(found: &BTreeMap<String, Vec<u8>>, wanted: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let lost = wanted.keys().filter(|name| !found.contains_key(*name)).map(|name| format!("- {name}"));
    let more = found.keys().filter(|name| !wanted.contains_key(*name)).map(|name| format!("+ {name}"));
    let other = found.iter().filter(|(name, content)| wanted.get(*name).is_some_and(|was| was != *content));
    lost.chain(more).chain(other.map(|(name, _)| format!("! {name}"))).collect()
}

const ORIGINAL: &str = "/lib/modules/6.1.0-1-amd64/kernel/drivers/misc/m.ko";

/// One package added whose module the kernel has too.
fn added() -> World {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    world.package("m", "1.0");
    // An index that tells which modules were there when it was made.
    let dir = world.path(format!("/lib/modules/{K}")).display().to_string();
    world.tool_does(
        "depmod",
        &format!("cd {dir} && find . -name '*.ko' | sort > .new && mv .new modules.dep"),
    );
    world.ok(&["add", "m/1.0"]);
    world
}

fn installed() -> World {
    let world = added();
    world.ok(&["install", "m/1.0"]);
    world
}

/// A newer version is on the machine.
fn unregistered() -> World {
    let world = installed();
    world.package("m", "2.0");
    world
}

fn add_newer(world: &World) {
    let ended = world.dkms(&["add", "m/2.0"]);
    // 3: it is there.
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
}

fn newer() -> World {
    let world = unregistered();
    add_newer(&world);
    world
}

fn edited() -> World {
    let world = installed();
    std::fs::write(world.path("/usr/src/m-1.0/m.ko.in"), crate::world::elf::versioned("m", "1.1", "NEW"))
        .unwrap();
    world
}

/// `m` is installed unsigned, and modules are signed from now on.
fn unsigned() -> World {
    let world = installed();
    world.kernel(K).config("CONFIG_MODULE_SIG_HASH=\"sha256\"\n").sign_tool(SIGN);
    world.signing_keys("/etc/keys/k.pem", "/etc/keys/c.der");
    let keys = "mok_signing_key=/etc/keys/k.pem\nmok_certificate=/etc/keys/c.der\n";
    world.write("/etc/dkms/framework.conf", keys);
    world
}

fn three() -> World {
    let world = added();
    world.package("lib", "1.0");
    world.package("user", "1.0").conf("BUILD_DEPENDS=lib");
    for package in ["lib/1.0", "user/1.0"] {
        world.ok(&["add", package]);
    }
    world
}

fn autoinstall(world: &World) {
    world.ok(&["autoinstall"]);
}

fn uninstall(world: &World) {
    world.ok(&["uninstall", "m/1.0"]);
}

fn remove(world: &World) {
    let ended = world.dkms(&["remove", "m/1.0", "--all"]);
    // 3: nothing was left to remove.
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
}

fn kernel_goes(world: &World) {
    world.hook("kernel-prerm", &[K]).exits(0);
}

const INSTALL: Scenario =
    Scenario { program: "dkms", args: &["install", "m/1.0"], prepare: added, heal: autoinstall };
const ADD: Scenario =
    Scenario { program: "dkms", args: &["add", "m/2.0"], prepare: unregistered, heal: add_newer };
const UPGRADE: Scenario =
    Scenario { program: "dkms", args: &["autoinstall"], prepare: newer, heal: autoinstall };
const REBUILD: Scenario =
    Scenario { program: "dkms", args: &["autoinstall"], prepare: edited, heal: autoinstall };
const UNINSTALL: Scenario =
    Scenario { program: "dkms", args: &["uninstall", "m/1.0"], prepare: installed, heal: uninstall };
const UNINSTALL_THEN_BOOT: Scenario =
    Scenario { program: "dkms", args: &["uninstall", "m/1.0"], prepare: installed, heal: autoinstall };
const REMOVE: Scenario =
    Scenario { program: "dkms", args: &["remove", "m/1.0", "--all"], prepare: installed, heal: remove };
const KERNEL_GOES: Scenario =
    Scenario { program: "kernel-prerm", args: &[K], prepare: installed, heal: kernel_goes };
const THREE: Scenario =
    Scenario { program: "kernel-postinst", args: &[K], prepare: three, heal: autoinstall };

const SIGN_AGAIN: Scenario =
    Scenario { program: "dkms", args: &["autoinstall"], prepare: unsigned, heal: autoinstall };

/// Builds wait for the kernel, which is here: what is installed for it comes from them.
fn kept() -> World {
    let world = added();
    // Without these it is never certain that a build is current.
    world.kernel(K).config("CONFIG_MODULES=y\n");
    for file in ["Module.symvers", "include/linux/module.h"] {
        world.write(&format!("/lib/modules/{K}/build/{file}"), "");
    }
    world.ok(&["preflight", "-k", K]);
    world
}

fn two_versions() -> World {
    let world = newer();
    world.ok(&["install", "m/2.0"]);
    world
}

fn preflight(world: &World) {
    world.ok(&["preflight", "-k", K]);
}

fn roll_back(world: &World) {
    let ended = world.dkms(&["rollback", "m"]);
    // 3: there is no older version, because this was done.
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
}

const PREFLIGHT: Scenario =
    Scenario { program: "dkms", args: &["preflight", "-k", K], prepare: added, heal: preflight };
const USE_KEPT: Scenario =
    Scenario { program: "dkms", args: &["autoinstall"], prepare: kept, heal: autoinstall };
const ROLLBACK: Scenario =
    Scenario { program: "dkms", args: &["rollback", "m"], prepare: two_versions, heal: roll_back };

/// m/1.0 is installed, and a version that does not build is about to take its place.
fn replacing() -> World {
    let world = installed();
    world.package("m", "2.0").recipe("exit 2");
    world
}

/// The first half of the upgrade is repeated, and the second follows: the version before stays.
fn upgrade(world: &World) {
    let ended = world.prerm("upgrade", REPLACED.args);
    // 3: nothing was left to remove.
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    add_newer(world);
    autoinstall(world);
    let wanted = crate::world::line("m/1.0", K, "installed");
    assert!(world.status().iter().any(|line| line.starts_with(&wanted)), "{:?}", world.status());
}

/// In the middle of the upgrade.
fn replaced() -> World {
    let world = replacing();
    world.prerm("upgrade", REPLACED.args).exits(0);
    world.ok(&["add", "m/2.0"]);
    world
}

fn disable(world: &World) {
    world.ok(&["disable", "m"]);
}

fn disabled() -> World {
    let world = installed();
    disable(&world);
    world
}

fn enable(world: &World) {
    let ended = world.dkms(&["enable", "m"]);
    // 3: it is not disabled any more.
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
}

const REPLACED: Scenario =
    Scenario { program: "prerm", args: &["remove", "m/1.0", "--all"], prepare: replacing, heal: upgrade };
const STEP_BACK: Scenario =
    Scenario { program: "dkms", args: &["autoinstall"], prepare: replaced, heal: autoinstall };
const DISABLE: Scenario =
    Scenario { program: "dkms", args: &["disable", "m"], prepare: installed, heal: disable };
const ENABLE: Scenario =
    Scenario { program: "dkms", args: &["enable", "m"], prepare: disabled, heal: enable };

/// The original is somewhere, whole, at every moment.
fn original_is_there(world: &World, original: &[u8]) {
    let stored = format!("/var/lib/dkms/m/original_module/{K}/{}/m.ko", *A);
    let there = [ORIGINAL, &stored]
        .iter()
        .any(|path| std::fs::read(world.path(path)).is_ok_and(|found| found == original));
    assert!(there, "the kernel's own module is lost");
}

/// What is wanted in the end.
fn undisturbed(scenario: &Scenario) -> BTreeMap<String, Vec<u8>> {
    let world = (scenario.prepare)();
    let ended = match scenario.program {
        "dkms" => world.dkms(scenario.args),
        "prerm" => world.prerm("upgrade", scenario.args),
        hook => world.hook(hook, scenario.args),
    };
    ended.exits(0);
    (scenario.heal)(&world);
    state(&world)
}

/// No module that anybody can see is truncated, mixed or lost, and `status` goes on.
fn nothing_is_lost(world: &World, original: &[u8], wanted: &BTreeMap<String, Vec<u8>>) {
    original_is_there(world, original);
    for module in ["updates/dkms/m.ko", "kernel/drivers/misc/m.ko"] {
        if let Ok(found) = std::fs::read(world.path(format!("/lib/modules/{K}/{module}"))) {
            let whole = [original.to_vec(), built(world, "m-1.0"), built(world, "m-2.0"), built_first()];
            let is_new = wanted.values().any(|content| *content == found);
            assert!(whole.contains(&found) || is_new, "{module} is truncated or mixed");
        }
    }
    world.ok(&["status"]);
}

#[test]
fn scenario_of_kept_builds_uses_them() {
    let world = kept();
    world.ok(&["autoinstall"]).complains("is used as dkms preflight built it");
}

#[rstest]
#[case::add(&ADD)]
#[case::install(&INSTALL)]
#[case::upgrade(&UPGRADE)]
#[case::rebuild(&REBUILD)]
#[case::sign(&SIGN_AGAIN)]
#[case::uninstall(&UNINSTALL)]
#[case::uninstall_then_boot(&UNINSTALL_THEN_BOOT)]
#[case::remove(&REMOVE)]
#[case::kernel_goes(&KERNEL_GOES)]
#[case::three_packages(&THREE)]
#[case::preflight(&PREFLIGHT)]
#[case::use_kept(&USE_KEPT)]
#[case::rollback(&ROLLBACK)]
#[case::replaced(&REPLACED)]
#[case::step_back(&STEP_BACK)]
#[case::disable(&DISABLE)]
#[case::enable(&ENABLE)]
#[ignore = "slow: make test-slow"]
fn next_command_heals_a_kill_at_any_change(#[case] scenario: &Scenario) {
    let original = std::fs::read(added().path(ORIGINAL)).unwrap();
    let wanted = undisturbed(scenario);
    let tried = scenario.disturb(
        |_| Some("signal=SIGKILL".into()),
        // In another thread than the first time the same call may come less often.
        |ended| ended.code.is_none(),
        |world| {
            nothing_is_lost(world, &original, &wanted);
            (scenario.heal)(world);
            let found = differences(&state(world), &wanted);
            assert!(found.is_empty(), "{}", found.join("\n"));
        },
    );
    let least = match scenario.args {
        // One link is made.
        ["add", ..] => 5,
        // One file changes.
        ["disable" | "enable", ..] => 6,
        _ => 20,
    };
    assert!(tried > least, "{tried} points");
    tell(&format!("killed at {tried} points of {} {:?}", scenario.program, scenario.args));
}

const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EACCES", "EROFS"];
/// Exit codes that a failure of the machine may have; see dkms(8).
const CODES: [i32; 9] = [0, 1, 4, 5, 6, 7, 10, 11, 14];

/// Each call fails with one error, and the errors take turns; with DKMS_TEST_ALL_ERRORS each call with each error. Not REPLACED: an
/// upgrade goes on where the old version cannot be kept.
#[rstest]
#[case::add(&ADD)]
#[case::install(&INSTALL)]
#[case::upgrade(&UPGRADE)]
#[case::uninstall(&UNINSTALL)]
#[case::remove(&REMOVE)]
#[case::kernel_goes(&KERNEL_GOES)]
#[case::three_packages(&THREE)]
#[case::preflight(&PREFLIGHT)]
#[case::use_kept(&USE_KEPT)]
#[case::rollback(&ROLLBACK)]
#[case::step_back(&STEP_BACK)]
#[case::disable(&DISABLE)]
#[case::enable(&ENABLE)]
#[ignore = "slow: make test-slow"]
fn next_command_heals_a_failing_machine(#[case] scenario: &Scenario) {
    let original = std::fs::read(added().path(ORIGINAL)).unwrap();
    let wanted = without_empty(undisturbed(scenario));
    let turns = if std::env::var_os("DKMS_TEST_ALL_ERRORS").is_some() { ERRORS.len() } else { 1 };
    for turn in 0..turns {
        let tried = scenario.disturb(
            // Where builds run side by side the same number may be a call that only reads.
            |point| {
                let is_certain = scenario.program == "dkms" || point.call != "openat";
                is_certain.then(|| format!("error={}", ERRORS[(point.number + turn) % ERRORS.len()]))
            },
            |ended| {
                let code = ended.code.expect("it ends by itself");
                ended.check(CODES.contains(&code), "an exit code of the table");
                ended.check(code == 0 || ended.stderr.contains("Error! "), "the failure is printed");
                ended.check(!ended.stderr.contains("panicked"), "no panic");
                true
            },
            |world| {
                nothing_is_lost(world, &original, &wanted);
                (scenario.heal)(world);
                let found = differences(&without_empty(state(world)), &wanted);
                assert!(found.is_empty(), "{}", found.join("\n"));
            },
        );
        tell(&format!("{tried} failing calls of {} {:?}", scenario.program, scenario.args));
    }
}

fn built(world: &World, source: &str) -> Vec<u8> {
    std::fs::read(world.path(format!("/usr/src/{source}/m.ko.in"))).unwrap_or_default()
}

/// What m/1.0 was before its source was edited.
fn built_first() -> Vec<u8> {
    crate::world::elf::versioned("m", "1.0", "SRCm1.0")
}

/// A generator that gives the same numbers for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

const OTHER: &str = "6.2.0-1-amd64";
const PACKAGES: [&str; 4] = ["m/1.0", "lib/1.0", "user/1.0", "own/1.0"];

/// Four packages and two kernels, nothing installed.
fn busy() -> World {
    let world = World::new();
    for kernel in [K, OTHER] {
        world.kernel(kernel).headers().module("kernel/drivers/misc/m.ko", "0.9", "OLD");
    }
    world.package("m", "1.0");
    world.package("lib", "1.0");
    world.package("user", "1.0").conf("BUILD_DEPENDS=lib");
    world.package("own", "1.0").conf("POST_INSTALL=post.sh").script("post.sh", "dkms status > /dev/null");
    world
}

fn settle(world: &World) -> BTreeMap<String, Vec<u8>> {
    for package in PACKAGES {
        let ended = world.dkms(&["add", package]);
        // 3: it is there.
        ended.check(matches!(ended.code, Some(0 | 3)), "it is added");
    }
    for kernel in [K, OTHER] {
        world.ok(&["autoinstall", "-k", kernel]);
    }
    state(world)
}

/// Twenty processes at once, some in pid namespaces of their own, of which some are killed, round after round;
/// DKMS_TEST_ROUNDS and DKMS_TEST_SEED choose.
#[test]
#[ignore = "slow: make test-slow"]
fn concurrent_killed_runs_end_like_serial_ones() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (rounds, seed) = (number("DKMS_TEST_ROUNDS", 250), number("DKMS_TEST_SEED", 1));
    let wanted = settle(&busy());
    let world = busy();
    let mut numbers = Numbers(seed);
    let mut killed = 0;
    for round in 0..rounds {
        let mut running = Vec::new();
        for _ in 0..20 {
            let package = PACKAGES[numbers.next(4)];
            let kernel = [K, OTHER][numbers.next(2)];
            let started = match numbers.next(10) {
                0 => world.start(&["autoinstall", "-k", kernel]),
                1 => world.start(&["install", "--force", package, "-k", kernel]),
                2 => world.start(&["uninstall", package, "-k", kernel]),
                3 => world.start(&["unbuild", package, "--all"]),
                4 => world.start(&["remove", package, "--all"]),
                5 => world.start(&["build", "--force", package, "-k", kernel]),
                6 => world.start_hook("kernel-postinst", &[kernel]),
                7 => world.start_in_container(&["install", package, "-k", kernel]),
                8 => world.start_in_container(&["uninstall", package, "-k", kernel]),
                _ => world.start_hook("kernel-prerm", &[kernel]),
            };
            running.push(started);
        }
        for process in running {
            if numbers.next(3) == 0 {
                std::thread::sleep(std::time::Duration::from_millis(numbers.next(30) as u64));
                process.kill_if_alive();
                killed += 1;
            } else {
                let ended = process.wait();
                ended.check(ended.code.is_some() && !ended.stderr.contains("panicked"), "an exit status");
            }
        }
        let found = differences(&without_empty(settle(&world)), &without_empty(wanted.clone()));
        assert!(found.is_empty(), "seed {seed}, round {round}:\n{}", found.join("\n"));
        world.ok(&["fsck"]);
    }
    tell(&format!("{rounds} rounds of twenty processes, {killed} killed"));
}
