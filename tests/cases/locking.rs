//! Two at a time.

use crate::world::{A, K, Running, World, line, wait_until};
use rstest::rstest;
use std::fs;

/// Starts a build that waits until the file `go` exists; returns when it has begun.
fn slow_build(world: &World) -> Running {
    world.package("slow", "1.0").recipe(
        ": > \"$DKMS_SCRATCH/begun\"; i=0; until [ -e \"$DKMS_SCRATCH/go\" ] || [ $i = 400 ]; do sleep 0.02; i=$((i+1)); done",
    );
    let running = world.start(&["build", "slow/1.0"]);
    wait_until("the build begins", || world.scratch("begun").exists());
    running
}

#[test]
fn who_comes_second_waits_and_says_for_whom() {
    let world = World::new();
    world.package("m", "1.0");
    let first = slow_build(&world);
    let mut second = world.start(&["add", "m/1.0"]);
    wait_until("the second one says that it waits", || second.stderr().contains("Waiting"));
    assert!(!second.is_over());
    assert!(!world.has("/var/lib/dkms/m"));
    let said = second.stderr();
    assert!(said.contains(&format!("process {} (", first.pid())), "{said}");
    assert!(said.contains("build slow/1.0)"), "{said}");
    fs::write(world.scratch("go"), "").unwrap();
    first.wait().exits(0);
    second.wait().exits(0);
    assert_eq!(world.status(), ["m/1.0: added".into(), line("slow/1.0", K, "built")]);
}

#[test]
fn reading_does_not_wait() {
    let world = World::new();
    let mut first = slow_build(&world);
    assert_eq!(world.status(), ["slow/1.0: added"]);
    world.ok(&["conf", "slow/1.0"]);
    assert!(!first.is_over());
    fs::write(world.scratch("go"), "").unwrap();
    first.wait().exits(0);
}

#[test]
fn the_lock_dies_with_its_holder() {
    let world = World::new();
    world.package("m", "1.0");
    let first = slow_build(&world);
    assert_eq!(first.kill().code, None);
    world.ok(&["add", "m/1.0"]).is_silent_about("Waiting");
    fs::write(world.scratch("go"), "").unwrap();
    world.ok(&["build", "slow/1.0"]);
    assert_eq!(world.status(), ["m/1.0: added".into(), line("slow/1.0", K, "built")]);
    world.ok(&["remove", "slow/1.0", "--all"]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(world.tree().is_empty(), "{:#?}", world.tree());
}

#[test]
fn different_trees_do_not_wait_for_each_other() {
    let world = World::new();
    world.package("m", "1.0");
    let mut first = slow_build(&world);
    let other = world.scratch("tree").display().to_string();
    world.ok(&["--dkmstree", &other, "build", "m/1.0"]).is_silent_about("Waiting");
    assert!(!first.is_over());
    fs::write(world.scratch("go"), "").unwrap();
    first.wait().exits(0);
}

#[rstest]
#[case("PRE_BUILD")]
#[case("POST_BUILD")]
#[case("PRE_INSTALL")]
#[case("POST_INSTALL")]
#[case("POST_ADD")]
fn a_script_may_call_dkms_back(#[case] script: &str) {
    let world = World::new();
    world.package("other", "1.0");
    let call = "dkms status > \"$DKMS_SCRATCH/status\" && dkms add other/1.0 > \"$DKMS_SCRATCH/add\" 2>&1";
    world.package("m", "1.0").conf(&format!("{script}=call.sh")).script("call.sh", call);
    // In isolation it can only ask.
    world.write("/etc/dkms/m.conf", "build_isolation=off\n");
    world.ok(&["install", "m/1.0"]).is_silent_about("Waiting");
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), "other/1.0: added".into()]);
    let seen = fs::read_to_string(world.scratch("status")).unwrap();
    assert!(seen.starts_with("m/1.0"), "{seen}");
}

#[test]
fn conf_may_change_tree_while_it_is_read() {
    let world = World::new();
    world.package("other", "1.0");
    world.package("m", "1.0").conf("dkms add other/1.0 >/dev/null 2>&1; true");
    world.write("/etc/dkms/m.conf", "build_isolation=off\n");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "built"), "other/1.0: added".into()]);
}

#[test]
fn many_at_once_end_as_one_after_other() {
    let world = World::new();
    world.kernel("6.2").headers();
    world.package("m", "1.0").recipe("sleep 0.05");
    let targets = [K, "6.2", K, "6.2", K, "6.2"];
    let running: Vec<Running> = targets.iter().map(|k| world.start(&["install", "m/1.0", "-k", k])).collect();
    for one in running {
        one.wait().exits(0);
    }
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), line("m/1.0", "6.2", "installed")]);
    assert_eq!(world.calls("make").len(), 2);
}

/// A build that waits until it is ended.
fn waiting_build(world: &World, args: &[&str]) -> Running {
    let waits = ": > \"$DKMS_SCRATCH/begun\"; sh -c 'sleep 60; :' \"$DKMS_SCRATCH\"";
    world.package("slow", "1.0").recipe(waits);
    world.ok(&["add", "slow/1.0"]);
    let running = world.start_in_terminal(args);
    wait_until("the build begins", || world.scratch("begun").exists());
    running
}

/// Whether a program of the waiting build lives. Its own process number means nothing outside of its namespace.
fn waits(world: &World) -> bool {
    let mark = format!("sleep 60; :\0{}\0", world.scratch("").display().to_string().trim_end_matches('/'));
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(&mark))
}

#[rstest]
#[case::terminated(15, &["build", "slow/1.0"])]
#[case::interrupted(2, &["install", "slow/1.0"])]
#[case::hung_up(1, &["autoinstall"])]
fn signal_ends_programs_and_restores_the_tree(#[case] signal: i32, #[case] args: &[&str]) {
    let world = World::new();
    let before = (
        vec!["slow/".to_owned(), "slow/1.0/".into(), "slow/1.0/source -> /usr/src/slow-1.0".into()],
        world.names("/lib/modules"),
    );
    let running = waiting_build(&world, args);
    wait_until("its program runs", || waits(&world));
    let number = nix::sys::signal::Signal::try_from(signal).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.pid().try_into().unwrap()), number).unwrap();
    let ended = running.wait();
    ended.exits(128 + signal).complains("Interrupted; ");
    assert!(ended.took.as_secs() < 30);
    wait_until("its make is gone", || !waits(&world));
    let tree: Vec<String> = world.tree().into_iter().filter(|name| name != "slow/1.0/build/").collect();
    assert_eq!((tree, world.names("/lib/modules")), before);
    fs::remove_file(world.path("/usr/src/slow-1.0/recipe")).unwrap();
    world.ok(&["autoinstall"]).is_silent_about("unfinished");
    assert_eq!(world.status(), [line("slow/1.0", K, "installed")]);
}

#[test]
fn finished_work_survives_a_signal_indexed() {
    let world = World::new();
    world.package("quick", "1.0");
    world.ok(&["add", "quick/1.0"]);
    let running = waiting_build(&world, &["autoinstall"]);
    wait_until("the other one is installed", || world.has(&format!("/var/lib/dkms/quick/kernel-{K}-{}", *A)));
    let pid = nix::unistd::Pid::from_raw(running.pid().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    running.wait().exits(143);
    assert!(world.status().contains(&line("quick/1.0", K, "installed")), "{:?}", world.status());
    assert_eq!(world.depmods(K), 1);
}

#[test]
fn waiting_run_can_be_stopped() {
    let world = World::new();
    let first = slow_build(&world);
    let second = world.start_in_terminal(&["autoinstall"]);
    wait_until("the second one says that it waits", || second.stderr().contains("Waiting"));
    let pid = nix::unistd::Pid::from_raw(second.pid().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(second.wait().code, None);
    fs::write(world.scratch("go"), "").unwrap();
    first.wait().exits(0);
}

#[test]
fn what_the_caller_ignores_stays_ignored() {
    let world = World::new();
    let begun = "until [ -e \"$DKMS_SCRATCH/pid\" ]; do sleep 0.02; done";
    world.package("slow", "1.0").recipe("echo > \"$DKMS_SCRATCH/pid\"; sleep 0.5");
    world.shell(&format!("trap '' HUP; dkms build slow/1.0 & {begun}; kill -HUP $!; wait $!")).exits(0);
    assert_eq!(world.status(), [line("slow/1.0", K, "built")]);
}

#[test]
fn lock_file_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let lock = world.path("/var/lib/dkms/.lock");
    assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    world.ok(&["build", "m/1.0"]);
    assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn other_user_cannot_hold_the_lock() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let lock = world.path("/var/lib/dkms/.lock");
    let top = world.root();
    let open = format!("chmod 755 {0}/.. && find {0} ! -name .lock -exec chmod a+rX {{}} +", top.display());
    world.shell(&open).exits(0);
    let hold =
        format!("setpriv --reuid=65534 --regid=65534 --clear-groups flock --shared {} true", lock.display());
    assert_ne!(world.shell(&hold).code, Some(0));
    world.ok(&["build", "m/1.0"]).is_silent_about("Waiting");
}

#[rstest]
#[case::header("header-postinst", K)]
#[case::image("kernel-postinst", K)]
#[case::boot("boot", "")]
fn next_hook_catches_up_after_a_timeout(#[case] hook: &str, #[case] release: &str) {
    let mut world = World::new();
    let first = slow_build(&world);
    world.package("m", "1.0");
    std::os::unix::fs::symlink(world.path("/usr/src/m-1.0"), {
        let dir = world.path("/var/lib/dkms/m/1.0");
        fs::create_dir_all(&dir).unwrap();
        dir.join("source")
    })
    .unwrap();
    world.set("DKMS_LOCK_TIMEOUT", "1");
    let args: Vec<&str> = [release].into_iter().filter(|word| !word.is_empty()).collect();
    let ended = world.hook(hook, &args);
    ended.complains("Waiting for process").complains("still holds it after 1 seconds");
    assert!(!ended.took.is_zero());
    fs::write(world.scratch("go"), "").unwrap();
    first.wait().exits(0);
    world.hook(hook, &args).exits(0);
    assert!(world.status().contains(&line("m/1.0", K, "installed")));
}

#[test]
fn same_pid_in_another_namespace_waits() {
    let world = World::new();
    world.package("m", "1.0");
    let first = slow_build(&world);
    // The holder as a container of its own would have written it: with the pid of an ancestor of the next run.
    let lock = world.path("/var/lib/dkms/.lock");
    let text = fs::read_to_string(&lock).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let me = std::process::id();
    fs::write(&lock, format!("{me}\n{}\n{}\nother-boot pid:[1]\n", lines[1], lines[2])).unwrap();
    let mut second = world.start(&["add", "m/1.0"]);
    wait_until("the second one waits", || second.stderr().contains("Waiting"));
    assert!(!second.is_over());
    fs::write(world.scratch("go"), "").unwrap();
    first.wait().exits(0);
    second.wait().exits(0);
}

#[rstest]
#[case(&["mktarball", "m/1.0"])]
#[case(&["mkdsc", "m/1.0"])]
fn what_packs_settles_unfinished_work_first(#[case] args: &[&str]) {
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let release = K;
    world.write(
        "/var/lib/dkms/.dkms-intents.json",
        format!("[{{\"change\":\"index\",\"release\":\"{release}\"}}]"),
    );
    let depmods = world.depmods(K);
    world.dkms(args);
    assert_eq!(world.depmods(K), depmods + 1);
    assert!(!world.has("/var/lib/dkms/.dkms-intents.json"));
}

/// Two containers that share a tree: in one dkms is pid 1, in the other the pid 1 is what started dkms.
#[test]
fn equal_pids_in_two_namespaces_take_turns() {
    let world = World::new();
    world.package("m", "1.0");
    world.package("slow", "1.0").recipe(
        ": > \"$DKMS_SCRATCH/begun\"; i=0; until [ -e \"$DKMS_SCRATCH/go\" ] || [ $i = 400 ]; do sleep 0.02; i=$((i+1)); done",
    );
    let mut first = world.start_in_container(&["build", "slow/1.0"]);
    wait_until("the build begins", || world.scratch("begun").exists() || first.is_over());
    let text = world.read("/var/lib/dkms/.lock");
    let pid = text.lines().next().unwrap().to_owned();
    let mut second = world.start_below_first("add m/1.0");
    wait_until("the second one waits", || second.stderr().contains("Waiting") || second.is_over());
    assert!(!second.is_over(), "{}", second.stderr());
    assert!(second.stderr().contains(&format!("process {pid} (")), "{}", second.stderr());
    fs::write(world.scratch("go"), "").unwrap();
    first.wait().exits(0);
    second.wait().exits(0);
    assert_eq!(world.status(), ["m/1.0: added".into(), line("slow/1.0", K, "built")]);
}
