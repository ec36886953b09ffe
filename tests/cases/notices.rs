//! How people learn of what happened while they were not watching: the message of the day, and the system's log.

use crate::world::{K, World};
use rstest::rstest;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const MOTD: &str = "/run/motd.d/dkms";

/// A package that does not build, and a machine with /run.
fn failing() -> World {
    let world = World::new();
    fs::create_dir_all(world.path("/run")).unwrap();
    for name in ["m", "n"] {
        world.package(name, "1.0");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.write("/usr/src/m-1.0/recipe", "echo 'm.c:1: error: no' >&2; exit 2");
    world
}

#[rstest]
#[case::kernel(&["kernel-postinst", K])]
#[case::headers(&["header-postinst", K])]
#[case::boot(&["boot"])]
fn failure_of_a_hook_is_shown_at_login(#[case] hook: &[&str]) {
    let world = failing();
    world.hook(hook[0], &hook[1..]);
    let text = world.read(MOTD);
    assert_eq!(text, format!("dkms: drivers are missing for kernel {K}: m/1.0 (see: dkms check -k {K})\n"));
}

#[test]
fn failure_below_a_package_manager_is_shown_at_login() {
    let mut world = failing();
    world.dkms(&["autoinstall"]).exits(11);
    assert!(!world.has(MOTD), "a person has seen it");
    world.set("DPKG_MAINTSCRIPT_PACKAGE", "m-dkms");
    world.dkms(&["autoinstall"]).exits(11);
    assert!(world.read(MOTD).contains("m/1.0"));
}

/// A driver's upgrade runs unattended as well.
#[test]
fn failure_of_a_driver_package_is_shown_at_login() {
    let world = failing();
    world.hook("common-postinst", &["n", "1.0"]).exits(0);
    assert!(!world.has(MOTD));
    world.hook("common-postinst", &["m", "1.0"]);
    let text = world.read(MOTD);
    assert_eq!(text, format!("dkms: drivers are missing for kernel {K}: m/1.0 (see: dkms check -k {K})\n"));
    // What else is missing stays, and nothing is listed twice.
    world.package("o", "1.0").recipe("exit 2");
    world.hook("common-postinst", &["o", "1.0"]);
    world.hook("common-postinst", &["m", "1.0"]);
    let text = world.read(MOTD);
    assert!(text.contains(&format!("kernel {K}: o/1.0, m/1.0 (see")), "{text}");
    world.write("/usr/src/m-1.0/recipe", "true");
    world.hook("common-postinst", &["m", "1.0"]);
    assert!(!world.read(MOTD).contains("m/1.0"));
}

#[rstest]
#[case::installed_by_hand(&["install", "m/1.0"])]
#[case::autoinstall(&["autoinstall"])]
#[case::removed(&["remove", "m/1.0", "--all"])]
fn notice_goes_when_its_cause_is_gone(#[case] line: &[&str]) {
    let world = failing();
    world.hook("kernel-postinst", &[K]);
    world.dkms(&["install", "m/1.0"]).exits(10);
    assert!(world.has(MOTD), "it is still missing");
    world.write("/usr/src/m-1.0/recipe", "true");
    world.ok(line);
    assert!(!world.has(MOTD), "{}", world.read(MOTD));
}

#[test]
fn notice_goes_at_the_next_hook_that_succeeds() {
    let world = failing();
    world.hook("kernel-postinst", &[K]);
    world.write("/usr/src/m-1.0/recipe", "true");
    world.hook("header-postinst", &[K]).exits(0);
    assert!(!world.has(MOTD));
}

#[test]
fn machine_without_run_has_no_notice() {
    let world = failing();
    fs::remove_dir_all(world.path("/run")).unwrap();
    world.hook("kernel-postinst", &[K]);
    assert!(!world.has("/run"));
}

#[rstest]
#[case::success(&["install", "n/1.0"], "install n/1.0 by alice (sudo): exit status 0 after ")]
#[case::failure(&["install", "m/1.0"], "install m/1.0 by alice (sudo): exit status 10 after ")]
#[case::removal(&["remove", "n/1.0", "--all"], "remove n/1.0 by alice (sudo): exit status 0 after ")]
fn action_by_hand_is_logged(#[case] line: &[&str], #[case] expected: &str) {
    let mut world = failing();
    world.set("SUDO_USER", "alice");
    fs::create_dir_all(world.path("/dev")).unwrap();
    let socket = UnixDatagram::bind(world.path("/dev/log")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    world.dkms(line);
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(said.contains(expected), "{said}");
}

#[test]
fn looking_is_not_logged() {
    let world = failing();
    fs::create_dir_all(world.path("/dev")).unwrap();
    let socket = UnixDatagram::bind(world.path("/dev/log")).unwrap();
    socket.set_nonblocking(true).unwrap();
    for line in [&["status"][..], &["check"], &["install", "n/1.0", "--dry-run"], &["why", "n"]] {
        world.dkms(line);
    }
    assert!(socket.recv(&mut [0; 16]).is_err());
}

/// A journal that listens; each entry is returned as its lines.
struct Journal(UnixDatagram);

impl Journal {
    fn of(world: &World) -> Self {
        fs::create_dir_all(world.path("/run/systemd/journal")).unwrap();
        let socket = UnixDatagram::bind(world.path("/run/systemd/journal/socket")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    fn entry(&self) -> Option<Vec<String>> {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned).collect())
    }
}

#[test]
fn journal_has_an_entry_while_drivers_are_missing() {
    let world = failing();
    let journal = Journal::of(&world);
    world.hook("kernel-postinst", &[K]);
    assert_eq!(
        journal.entry().unwrap(),
        [
            "MESSAGE_ID=5d0e1ab3c7f24c0f8a6b9d42e7c31f58".to_owned(),
            "PRIORITY=3".to_owned(),
            "SYSLOG_IDENTIFIER=dkms".to_owned(),
            format!("MESSAGE=Drivers are missing for kernel {K}: m/1.0"),
            format!("DKMS_KERNEL={K}"),
            "DKMS_PACKAGES=m/1.0".to_owned(),
        ]
    );
    world.hook("boot", &[K]);
    assert_eq!(journal.entry(), None, "it is said once");
    world.write("/usr/src/m-1.0/recipe", "true");
    world.ok(&["install", "m/1.0"]);
    let entry = journal.entry().unwrap();
    assert!(entry.contains(&"MESSAGE_ID=b8a96f1d03c54ab79e1f5d2c8407be63".to_owned()), "{entry:?}");
    assert!(entry.contains(&format!("DKMS_KERNEL={K}")), "{entry:?}");
}

#[test]
fn desktop_notification_shows_the_message_of_the_day() {
    let world = failing();
    world.hook("kernel-postinst", &[K]);
    world.program("notify-send", "printf '%s\\n' \"$@\" > @LOG@/shown");
    let unit = include_str!("../../packaging/systemd/dkms-notify.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    // systemd.service(5): a doubled dollar is one.
    let line = line.replace("$$", "$").replace(MOTD, &world.path(MOTD).display().to_string());
    world.shell(&line).exits(0);
    let shown = world.calls("shown").join("\n");
    assert!(
        shown.ends_with(&format!("drivers are missing for kernel {K}: m/1.0 (see: dkms check -k {K})")),
        "{shown}"
    );
    assert!(unit.contains(&format!("ConditionPathExists={MOTD}")));
}
