//! Files and texts of other users: they gain nothing from us.

use crate::world::{A, K, World, elf, line, write};
use rstest::rstest;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const STRANGER: u32 = 12345;

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A driver in another user's directory, with files that are not to be trusted.
fn strangers_driver(world: &World) -> std::path::PathBuf {
    let dir = world.scratch("driver");
    world.package_in(&dir, "m", "1.0").file("sub/tool", "#!/bin/sh\n").file("open.c", "");
    set_mode(&dir.join("sub/tool"), 0o6755);
    set_mode(&dir.join("open.c"), 0o666);
    set_mode(&dir.join("sub"), 0o2777);
    if is_root() {
        world.shell(&format!("chown -R {STRANGER}:{STRANGER} {}", dir.display())).exits(0);
        // chown takes the special bits away.
        set_mode(&dir.join("sub/tool"), 0o6755);
    }
    dir
}

#[test]
fn added_directory_belongs_to_root_without_special_bits() {
    let world = World::new();
    let dir = strangers_driver(&world);
    world.ok(&["add", dir.to_str().unwrap()]);
    let copy = world.path("/usr/src/m-1.0");
    assert_eq!(mode(&copy.join("sub/tool")), 0o755);
    assert_eq!(mode(&copy.join("open.c")), 0o644);
    assert_eq!(mode(&copy.join("sub")), 0o755);
    let me = nix::unistd::geteuid().as_raw();
    for path in [".", "dkms.conf", "sub", "sub/tool", "open.c"] {
        assert_eq!(copy.join(path).metadata().unwrap().uid(), me, "{path}");
    }
    world.ok(&["build", "m/1.0"]).is_silent_about("can change");
}

#[test]
fn copy_is_never_setuid_at_any_moment() {
    let world = World::new();
    let dir = strangers_driver(&world);
    let trace = world.scratch("trace");
    let options =
        ["-e", "trace=openat,mkdirat,mkdir,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown", "-o"];
    let mut options: Vec<String> = options.iter().map(|word| (*word).to_owned()).collect();
    options.push(trace.display().to_string());
    world.traced(&options, "dkms", &["add", dir.to_str().unwrap()]).exits(0);
    let text = fs::read_to_string(&trace).unwrap();
    let of_copy = |line: &&str| line.contains("/usr/src/") && !line.contains("driver");
    let created: Vec<&str> = text.lines().filter(|line| line.contains("O_CREAT")).filter(of_copy).collect();
    assert!(created.len() >= 5, "{created:#?}");
    for line in created {
        assert!(line.contains("O_EXCL") && line.contains("0600"), "{line}");
    }
    let modes = text.lines().filter(|line| line.contains("chmod"));
    for line in modes {
        let octal = line.rsplit(", 0").next().and_then(|rest| rest.split(')').next()).unwrap_or_default();
        assert!(octal.len() <= 3, "no special bits: {line}");
    }
    assert!(!text.lines().any(|line| line.contains("chown")), "nothing is given to anybody");
}

/// Another user looks at the copy all the time while it is made. Nothing there is ever setuid, theirs, or writable by them.
#[test]
#[ignore = "slow: make test-slow"]
fn watcher_of_twenty_copies_finds_nothing_open() {
    let world = World::new();
    let dir = world.scratch("driver");
    world.package_in(&dir, "m", "1.0");
    for number in 0..2_500 {
        let file = dir.join(format!("tool{number}"));
        fs::write(&file, "#!/bin/sh\n").unwrap();
        if is_root() {
            std::os::unix::fs::chown(&file, Some(STRANGER), Some(STRANGER)).unwrap();
        }
        set_mode(&file, 0o6777);
    }
    let copies = world.path("/usr/src");
    let done = AtomicBool::new(false);
    let me = nix::unistd::geteuid().as_raw();
    let watch = || {
        let (mut looks, mut chances) = (0_usize, Vec::new());
        while !done.load(Ordering::Relaxed) {
            for copy in fs::read_dir(&copies).into_iter().flatten().flatten() {
                for entry in fs::read_dir(copy.path()).into_iter().flatten().flatten() {
                    let Ok(data) = entry.metadata() else { continue };
                    looks += 1;
                    if data.mode() & 0o7022 != 0 && !data.is_symlink() || data.uid() != me {
                        chances.push((entry.path(), data.mode()));
                    }
                }
            }
        }
        (looks, chances)
    };
    let (looks, chances) = std::thread::scope(|scope| {
        let watcher = scope.spawn(watch);
        for _ in 0..20 {
            world.ok(&["add", dir.to_str().unwrap()]);
            world.ok(&["remove", "m/1.0", "--all"]);
            fs::remove_dir_all(world.path("/usr/src/m-1.0")).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    });
    assert!(looks > 1_000, "it saw something: {looks}");
    assert!(chances.is_empty(), "{} chances: {:?}", chances.len(), chances.first());
}

/// Another user exchanges files for links to what only root may read, all the time while they are copied.
#[test]
#[ignore = "slow: make test-slow"]
fn file_exchanged_for_a_link_is_not_followed() {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    let world = World::new();
    let dir = world.scratch("driver");
    world.package_in(&dir, "m", "1.0");
    let secret = world.scratch("secret");
    fs::write(&secret, "secret").unwrap();
    let names: Vec<String> = (0..200).map(|number| format!("file{number}")).collect();
    for name in &names {
        fs::write(dir.join(name), "plain").unwrap();
        symlink(&secret, world.scratch(&format!("link-{name}"))).unwrap();
    }
    let done = AtomicBool::new(false);
    let exchange = || {
        while !done.load(Ordering::Relaxed) {
            for name in &names {
                let (one, other) = (dir.join(name), world.scratch(&format!("link-{name}")));
                renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        }
    };
    let mut added = 0;
    std::thread::scope(|scope| {
        scope.spawn(exchange);
        for _ in 0..60 {
            let ended = world.dkms(&["add", dir.to_str().unwrap()]);
            added += usize::from(ended.code == Some(0));
            let copy = world.path("/usr/src/m-1.0");
            for entry in fs::read_dir(&copy).into_iter().flatten().flatten() {
                let is_file = entry.file_type().unwrap().is_file();
                assert!(!is_file || fs::read(entry.path()).unwrap() != b"secret", "{entry:?} was followed");
            }
            world.dkms(&["remove", "m/1.0", "--all"]);
            let _ = fs::remove_dir_all(copy);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(added > 0, "some were added");
}

#[test]
fn link_in_an_added_directory_is_copied() {
    let world = World::new();
    let dir = world.scratch("driver");
    world.package_in(&dir, "m", "1.0");
    fs::write(world.scratch("secret"), "secret").unwrap();
    symlink(world.scratch("secret"), dir.join("link")).unwrap();
    symlink(world.scratch(""), dir.join("up")).unwrap();
    world.ok(&["add", dir.to_str().unwrap()]);
    let copy = world.path("/usr/src/m-1.0");
    assert_eq!(fs::read_link(copy.join("link")).unwrap(), world.scratch("secret"));
    assert!(copy.join("up").is_symlink());
}

#[rstest]
#[case::source("/usr/src/m-1.0/Makefile", 0o666)]
#[case::directory("/usr/src/m-1.0", 0o777)]
#[case::conf("/usr/src/m-1.0/dkms.conf", 0o646)]
#[case::overrides("/etc/dkms/m.conf", 0o666)]
fn source_that_others_can_write_is_named(#[case] path: &str, #[case] loose: u32) {
    let world = World::new();
    world.package("m", "1.0");
    world.write("/etc/dkms/m.conf", "STRIP=no\n");
    world.ok(&["add", "m/1.0"]);
    set_mode(&world.path(path), loose);
    let ended = world.dkms(&["build", "m/1.0"]);
    let place = world.path(path);
    ended.exits(0).complains(&format!("every user can change {}", place.display()));
    let remedy =
        ended.stderr.lines().find_map(|line| line.strip_prefix("To prevent that: ")).unwrap().to_owned();
    world.shell(&remedy).exits(0);
    world.ok(&["build", "m/1.0", "--force"]).is_silent_about("can change");
}

#[test]
fn source_of_another_user_is_named() {
    if !is_root() {
        return;
    }
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    std::os::unix::fs::chown(world.path("/usr/src/m-1.0/Makefile"), Some(STRANGER), None).unwrap();
    world.ok(&["autoinstall"]).complains(&format!("the user with id {STRANGER} can change"));
}

#[rstest]
#[case::log("make.log")]
fn link_in_the_source_stays_inside(#[case] name: &str) {
    let world = World::new();
    let package = world.package("m", "1.0");
    fs::write(world.scratch("precious"), "kept").unwrap();
    symlink(world.scratch("precious"), package.dir.join(name)).unwrap();
    world.ok(&["install", "m/1.0"]);
    assert_eq!(fs::read_to_string(world.scratch("precious")).unwrap(), "kept");
}

#[rstest]
#[case::file("ln -sf \"$DKMS_SCRATCH/outside/m.ko\" m.ko.in", "")]
#[case::hard_link("ln -f \"$DKMS_SCRATCH/outside/m.ko\" m.ko.in", "")]
#[case::directory(
    "ln -s \"$DKMS_SCRATCH/outside\" sub; cp m.ko.in kept; rm m.ko.in",
    "BUILT_MODULE_LOCATION=sub"
)]
fn strip_and_sign_leave_linked_file_outside_alone(#[case] recipe: &str, #[case] conf: &str) {
    let mut world = World::new();
    world.kernel(K).config("CONFIG_MODULE_SIG_HASH=\"sha256\"\n").sign_file();
    world.signing_keys("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub");
    world.set("try_sign_modules", "true");
    let outside = world.scratch("outside/m.ko");
    write(&outside, &elf::versioned("m", "1.0", "S"));
    let before = fs::read(&outside).unwrap();
    world.tool_does("strip", "for f; do :; done; printf stripped >> \"$f\"");
    world.program("make", &format!("cd {}; {recipe}; [ ! -e m.ko.in ] || cp -d m.ko.in m.ko", "."));
    world.package("m", "1.0").conf(conf);
    world.ok(&["install", "m/1.0"]);
    assert_eq!(fs::read(&outside).unwrap(), before);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[rstest]
#[case("original_module", "1.0")]
#[case("m", "original_module")]
#[case("-rf", "1.0")]
#[case("m", "-rf")]
#[case("*", "1.0")]
#[case("m", "*")]
#[case("m?", "1.0")]
#[case("m", "1.0;id")]
#[case("m", "$(id)")]
#[case("m", "`id`")]
#[case("m\u{202e}", "1.0")]
#[case("m", "1.0\u{2066}")]
#[case("m", "1.\u{200b}0")]
#[case("m", "kernel-6.1-x86_64")]
#[case("mok.key", "1")]
fn name_that_means_something_else_is_refused(#[case] name: &str, #[case] version: &str) {
    let world = World::new();
    let before = world.everything();
    world.dkms(&["add", "-m", name, "-v", version]).exits(1).complains("Error!");
    let dir = world.scratch("driver");
    world.package_in(&dir, "m", "1.0").whole_conf(&format!(
        "PACKAGE_NAME='{name}'\nPACKAGE_VERSION='{}'\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\n",
        version.replace('$', "\\$").replace('`', "\\`")
    ));
    assert_ne!(world.dkms(&["add", dir.to_str().unwrap()]).code, Some(0));
    let after: Vec<String> =
        world.everything().into_keys().filter(|path| !before.contains_key(path)).collect();
    assert!(after.iter().all(|path| path.ends_with(".lock")), "{after:?}");
}

/// What a terminal would obey, and what would forge a line of a log.
const ESCAPES: &str = "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}2J\u{202e}";

fn is_clean(text: &str) -> bool {
    !text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\r'])
}

#[rstest]
#[case::compiler("recipe", "printf 'm.c:1: error: @' >&2; exit 2")]
#[case::script("recipe", "printf 'm.c:1: error: \\r\\nfake@\\n' >&2; exit 2")]
fn compiler_output_is_shown_without_terminal_commands(#[case] file: &str, #[case] body: &str) {
    let world = World::new();
    world.package("m", "1.0").file(file, body.replace('@', ESCAPES));
    world.ok(&["add", "m/1.0"]);
    for args in [&["install", "m/1.0"][..], &["autoinstall"], &["check"]] {
        let ended = world.dkms(args);
        ended.check(is_clean(&ended.stdout) && is_clean(&ended.stderr), "no terminal commands");
    }
    let ended = world.hook("kernel-postinst", &[K]);
    ended.check(is_clean(&ended.stderr), "no terminal commands");
}

#[test]
fn module_info_is_shown_without_terminal_commands() {
    let world = World::new();
    let version = format!("9.0{ESCAPES}");
    write(&world.path(format!("/lib/modules/{K}/kernel/drivers/m.ko")), &elf::versioned("m", &version, "X"));
    world.package("m", "1.0");
    let ended = world.dkms(&["install", "m/1.0"]);
    ended.complains("9.0");
    ended.check(is_clean(&ended.stderr), "no terminal commands");
}

#[test]
fn conf_output_is_shown_without_terminal_commands() {
    let world = World::new();
    let text = format!(
        "PACKAGE_NAME=$'m{ESCAPES}'\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=m\nDEST_MODULE_LOCATION=/updates\nprintf '{ESCAPES}' >&2\nbad{ESCAPES}command\n"
    );
    world.package("m", "1.0").whole_conf(&text);
    for args in [
        &["add", "m/1.0"][..],
        &["install", "m/1.0"],
        &["conf", "m/1.0"],
        &["conf", "m/1.0", "--format", "json"],
    ] {
        let ended = world.dkms(args);
        ended.check(is_clean(&ended.stdout) && is_clean(&ended.stderr), "no terminal commands");
    }
}

#[test]
fn environment_is_shown_without_terminal_commands() {
    let mut world = World::new();
    world.set("DPKG_MAINTSCRIPT_PACKAGE", &format!("x{ESCAPES}\nforged: line"));
    let ended = world.hook("kernel-postinst", &[K]);
    ended.check(is_clean(&ended.stderr), "no terminal commands");
    let ended = world.dkms(&["add", &format!("m{ESCAPES}/1.0")]);
    ended.check(is_clean(&ended.stderr), "no terminal commands");
    let ended = world.dkms(&[&format!("--what{ESCAPES}")]);
    ended.check(is_clean(&ended.stderr), "no terminal commands");
}

#[rstest]
#[case::text(b"not a module".as_slice(), "not an ELF file")]
#[case::empty(b"".as_slice(), "the file is empty")]
fn file_that_is_no_module_fails_the_build(#[case] content: &[u8], #[case] why: &str) {
    let world = World::new();
    world.package("m", "1.0").file("m.ko.in", content);
    world.dkms(&["install", "m/1.0"]).exits(7).complains(why).complains("make.log");
    world.dkms(&["autoinstall"]).exits(11);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn truncated_module_or_another_machines_fails() {
    let whole = elf::versioned("m", "1.0", "S");
    let mut other = whole.clone();
    other[18] = 183;
    for (content, why) in [(&whole[..whole.len() - 20], "cut short"), (&other[..], "built for aarch64")] {
        let world = World::new();
        world.package("m", "1.0").file("m.ko.in", content);
        world.dkms(&["install", "m/1.0"]).exits(7).complains(why);
    }
}

#[rstest]
#[case::elsewhere("mkdir -p out; mv m.ko.in out/", "BUILT_MODULE_LOCATION=\"out\"")]
#[case::renamed("mv m.ko.in other.ko.in", "BUILT_MODULE_NAME=\"other\"")]
#[case::nothing("rm m.ko.in", "produced no module at all")]
fn module_that_is_elsewhere_is_named(#[case] recipe: &str, #[case] says: &str) {
    let world = World::new();
    world.package("m", "1.0").recipe(recipe);
    let ended = world.dkms(&["install", "m/1.0"]);
    ended.exits(7).complains(says);
    if let Some(line) = ended.stderr.lines().find_map(|line| line.split_once("of this module: ")) {
        world
            .package("m", "1.0")
            .recipe(recipe)
            .conf(&line.1.replace(' ', "\n").replace("_NAME=", "_NAME[0]="));
        world.shell(&format!("cd {}; rm -f *.ko.in", world.path("/usr/src/m-1.0").display())).exits(0);
        world
            .package("m", "1.0")
            .recipe(recipe)
            .conf(&format!("DEST_MODULE_NAME=m\n{}", line.1.replace(' ', "\n")));
        world.ok(&["install", "m/1.0"]);
        assert_eq!(world.status(), [line_of_m()]);
    }
}

fn line_of_m() -> String {
    assert!(!A.is_empty());
    line("m/1.0", K, "installed")
}
