use super::*;
use crate::system::process::{Command, Output, Status, hold};
use rstest::rstest;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A user that no machine lacks.
const OTHER_USER: u32 = 65534;

/// What a program tries, and what there is to be touched.
struct Place {
    dir: TempDir,
    sandbox: Sandbox,
}

impl Place {
    /// Behind those of `wanted` that stand here; `None` where one of them does not.
    fn behind(wanted: &[Wall]) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let user = Ids { uid: Uid::from_raw(OTHER_USER), gid: Gid::from_raw(OTHER_USER) };
        let walls = Walls { standing: wanted.to_vec(), user: Some(user) };
        if !hold(&walls) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&top, open).unwrap();
        for name in ["own", "other", "secret", "scratch"] {
            fs::create_dir(top.join(name)).unwrap();
        }
        for name in ["own", "scratch"] {
            let owner = walls.user().map(|ids| ids.uid.as_raw());
            std::os::unix::fs::chown(top.join(name), owner, owner).unwrap();
        }
        fs::write(top.join("secret/key"), "KEY\n").unwrap();
        fs::write(top.join("other/file"), "FILE\n").unwrap();
        let sandbox = Sandbox {
            writable: vec![Bind { from: top.join("own"), onto: top.join("own") }],
            hidden: vec![top.join("secret")],
            visible: vec![top.clone()],
            scratch: Scratch::Dir(top.join("scratch")),
            temporary: view::TEMPORARY.map(PathBuf::from).to_vec(),
            log: None,
            walls,
        };
        Some(Self { dir, sandbox })
    }

    fn run(&self, script: &str) -> (Status, String) {
        let script = format!("{{ {script}\n}} 2>&1");
        let command = Command::new("sh").args(["-c", &script]).dir(self.path("own"));
        let outcome = command.stdout(Output::Capture).confined(&self.sandbox).run().unwrap();
        (outcome.status, String::from_utf8_lossy(&outcome.stdout).into_owned())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }
}

#[rstest]
#[case::all(&ALL)]
#[case::no_user(&[Wall::Files, Wall::Network, Wall::Processes, Wall::Landlock])]
#[case::files(&[Wall::Files])]
#[case::landlock(&[Wall::Landlock])]
#[case::user_and_landlock(&[Wall::User, Wall::Landlock])]
fn program_writes_and_reads_what_is_its_own_only(#[case] walls: &[Wall]) {
    let Some(place) = Place::behind(walls) else { return };
    let (status, said) =
        place.run("echo made >file && mkdir d && mv file d/ && cat d/file && cat ../other/file");
    assert_eq!((status, said.as_str()), (Status::Exited(0), "made\nFILE\n"), "{walls:?}");
    assert_eq!(fs::read_to_string(place.path("own/d/file")).unwrap(), "made\n");
    let (_, said) = place.run("cat ../secret/key");
    assert!(!said.contains("KEY"), "{walls:?}: {said}");
    for attempt in
        ["echo x >../other/file", "echo x >../new", "rm ../other/file", "ln ../other/file l && echo x >l"]
    {
        let (status, said) = place.run(attempt);
        assert!(!status.success(), "{walls:?}: {attempt}: {said}");
    }
    assert_eq!(fs::read_to_string(place.path("other/file")).unwrap(), "FILE\n");
    assert!(!place.path("new").exists());
}

#[rstest]
#[case::another_user(&ALL)]
#[case::root(&[Wall::Files, Wall::Network, Wall::Processes])]
fn no_privileges_are_left(#[case] walls: &[Wall]) {
    let Some(place) = Place::behind(walls) else { return };
    let (_, said) = place.run("grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status");
    for line in said.lines() {
        let value = line.split_whitespace().nth(1).unwrap();
        let wanted = if line.starts_with("NoNewPrivs") { "1" } else { "0000000000000000" };
        assert_eq!(value, wanted, "{line}");
    }
    assert_eq!(said.lines().count(), 6, "{said}");
}

#[test]
fn devices_and_temporary_files_are_its_own() {
    let Some(place) = Place::behind(&ALL) else { return };
    let (status, said) = place.run("ls /dev; echo x >/dev/null && head -c1 /dev/urandom >/dev/full");
    assert_eq!(
        said.lines().filter(|line| !line.contains("sh:")).take(11).collect::<Vec<_>>(),
        ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
    );
    assert!(!status.success(), "/dev/full is full");
    let mark = format!("dkms-test-{}", std::process::id());
    let (status, said) =
        place.run(&format!("echo x >/tmp/{mark} && cat /var/tmp/{mark} && mktemp && echo y >/dev/shm/y"));
    assert!(status.success(), "{said}");
    assert!(!Path::new("/tmp").join(&mark).exists());
    assert!(place.path("scratch").join(&mark).exists());
}

#[test]
fn nothing_else_can_be_reached() {
    let Some(place) = Place::behind(&ALL) else { return };
    let me = std::process::id();
    let (status, said) =
        place.run(&format!("kill -0 {me}; test -d /proc/{me} || ls /proc | grep -c '^[0-9]'"));
    assert!(status.success() && said.contains("o such process"), "{said}");
    let (_, said) = place.run("grep -v -E '^ *lo:|Inter|face' /proc/net/dev");
    assert_eq!(said, "");
}

#[rstest]
#[case::namespace(&ALL)]
#[case::reaper(&[Wall::User, Wall::Landlock])]
fn nothing_that_it_started_outlives_it(#[case] walls: &[Wall]) {
    let Some(place) = Place::behind(walls) else { return };
    let mark = format!("60.{}{}", std::process::id(), walls.len());
    let (status, _) = place.run(&format!("setsid sleep {mark} >/dev/null 2>&1 </dev/null & exit 3"));
    assert_eq!(status, Status::Exited(3));
    let lives = || {
        crate::system::dir::entries("/proc").iter().any(|entry| {
            fs::read(entry.path().join("cmdline")).unwrap_or_default()
                == format!("sleep\0{mark}\0").into_bytes()
        })
    };
    assert!(!lives());
}

#[rstest]
#[case("exit 7", Status::Exited(7))]
#[case("kill -9 $$", Status::Signalled(9))]
#[case("kill -TERM $$", Status::Signalled(15))]
fn its_end_is_what_we_see(
    #[case] script: &str,
    #[case] wanted: Status,
    #[values(&ALL, &[Wall::Landlock])] walls: &[Wall],
) {
    let Some(place) = Place::behind(walls) else { return };
    assert_eq!(place.run(script).0, wanted);
}

#[test]
fn program_that_is_not_there_is_an_error() {
    let Some(place) = Place::behind(&ALL) else { return };
    let error = Command::new("/no/such/program").confined(&place.sandbox).run().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
}

#[test]
fn time_limit_ends_everything() {
    let Some(place) = Place::behind(&ALL) else { return };
    let limit = std::time::Duration::from_millis(200);
    let command = Command::new("sh").args(["-c", "sleep 60 & sleep 60"]);
    let outcome = command.confined(&place.sandbox).timeout(limit).run().unwrap();
    assert_eq!(outcome.status, Status::TimedOut);
}

#[rstest]
#[case(&ALL)]
#[case::without_a_view(&[Wall::User, Wall::Landlock])]
#[case::without_anything(&[])]
fn directory_is_seen_under_its_other_name(#[case] walls: &[Wall]) {
    let Some(mut place) = Place::behind(walls) else { return };
    fs::create_dir(place.path("name")).unwrap();
    place.sandbox.writable = vec![Bind { from: place.path("own"), onto: place.path("name") }];
    let (status, said) = place.run("cd ../name && echo made >file");
    assert!(status.success(), "{said}");
    assert_eq!(fs::read_to_string(place.path("own/file")).unwrap(), "made\n");
    assert!(!place.path("name/file").exists());
}

#[test]
fn files_of_the_caller_are_closed() {
    let Some(place) = Place::behind(&ALL) else { return };
    let file = fs::File::open(place.path("secret/key")).unwrap();
    let open = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_DUPFD(50)).unwrap();
    let (_, said) = place.run(&format!("cat <&{open}; ls /proc/self/fd"));
    nix::unistd::close(open).unwrap();
    assert!(!said.contains("KEY"), "{said}");
    assert!(!said.lines().any(|line| line == open.to_string()), "{said}");
}
