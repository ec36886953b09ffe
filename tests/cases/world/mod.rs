//! A machine in a temporary directory: kernels, sources, configuration, and tools that only note what they are asked.

pub mod elf;
mod kernel;
mod package;
mod run;

pub use kernel::{Kernel, SIGN, pack};
pub use package::Package;
pub use run::{Ended, Running, spawn};

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

/// The running kernel of every new world.
pub const K: &str = "6.1.0-1-amd64";
/// What `uname -m` prints here.
pub static A: LazyLock<String> =
    LazyLock::new(|| nix::sys::utsname::uname().unwrap().machine().to_string_lossy().into_owned());

static KEYS: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let args = "req -new -x509 -batch -newkey rsa:2048 -nodes -subj /CN=cases -outform DER -out c -keyout k";
    let mut made = Command::new("openssl");
    made.args(args.split(' ')).current_dir(&dir).stderr(Stdio::piped());
    let made = spawn(&mut made).wait_with_output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    (read("k"), read("c"))
});

/// The names of the hooks in tests, and in /usr/lib/dkms.
const HOOKS: [(&str, &str); 15] = [
    ("boot", "boot"),
    ("common-postinst", "common.postinst"),
    ("dkms-autoinstaller", "dkms_autoinstaller"),
    ("hand-back", "hand-back"),
    ("header-postinst", "header-postinst"),
    ("initramfs", "initramfs"),
    ("initramfs-modules", "initramfs-modules"),
    ("kernel-install", "kernel-install"),
    ("kernel-postinst", "kernel-postinst"),
    ("kernel-preinst", "kernel-preinst"),
    ("kernel-prerm", "kernel-prerm"),
    ("preflight-apt", "preflight-apt"),
    ("preflight-dnf", "preflight-dnf"),
    ("preflight-pacman", "preflight-pacman"),
    ("preflight-timer", "preflight-timer"),
];

/// Where the hooks are installed as links to their one program.
static HOOK_DIR: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = Path::new(env!("CARGO_BIN_EXE_dkms-hooks"));
    let profile = program.parent().and_then(Path::file_name).unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hooks").join(profile);
    fs::create_dir_all(&dir).unwrap();
    for (_, name) in HOOKS {
        let linked = std::os::unix::fs::symlink(program, dir.join(name));
        assert!(linked.is_ok() || fs::read_link(dir.join(name)).unwrap() == program, "{name}: {linked:?}");
    }
    dir
});

/// `make`: notes its call, does what `recipe` in the source says, then "compiles" every `x.ko.in` to `x.ko`.
pub const MAKE: &str = r#"
umask 0; echo "$*" >> @LOG@/make; umask 022
if [ -f recipe ]; then . ./recipe; fi
find . -name '*.ko.in' | while read -r f; do cp "$f" "${f%.in}"; done
"#;
/// Any other tool: notes its call and ends as the file beside its log says.
const TOOL: &str = r#"
umask 0; echo "$*" >> @LOG@/@NAME@; umask 022
if [ -f @LOG@/@NAME@.does ]; then . @LOG@/@NAME@.does; fi
"#;

/// A fake machine. Nothing outside of its directory is written.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    env: BTreeMap<String, String>,
}

impl World {
    /// Debian, running [`K`], which has headers and an index of modules.
    pub fn new() -> Self {
        let world = Self::without_kernel();
        world.kernel(K).headers();
        world
    }

    /// Debian, without any kernel.
    pub fn without_kernel() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut world = Self { dir, env: BTreeMap::new() };
        for name in ["bin", "log", "tmp", "home", "root/etc/dkms", "root/usr/src", "root/boot"] {
            fs::create_dir_all(world.dir.path().join(name)).unwrap();
        }
        // Builds run as another user where the machine of the tests has one for them.
        for name in ["log", "home"] {
            fs::set_permissions(world.dir.path().join(name), fs::Permissions::from_mode(0o777)).unwrap();
        }
        for name in ["var/lib/dkms", "lib/modules"] {
            fs::create_dir_all(world.root().join(name)).unwrap();
        }
        world.write("/etc/os-release", "ID=debian\n");
        // The tools of this machine note their calls beside it, also when builds run them behind walls.
        let noted = format!("build_paths=\"{}\"\n", fs::canonicalize(world.dir.path()).unwrap().display());
        world.write("/etc/dkms/framework.conf.d/00-world.conf", noted);
        world.program("make", MAKE);
        for name in ["depmod", "strip", "modprobe", "systemctl", "apport"] {
            world.tool(name);
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dkms"), world.bin().join("dkms")).unwrap();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", world.bin().display());
        let (root, home) = (world.root().display().to_string(), world.dir.path().join("home"));
        let tmp = world.dir.path().join("tmp").display().to_string();
        let home = home.display().to_string();
        for (name, value) in [
            ("PATH", path.as_str()),
            ("HOME", &home),
            ("DKMS_SCRATCH", &home),
            ("TMPDIR", &tmp),
            ("LC_ALL", "C"),
            ("DKMS_ROOT", &root),
            ("DKMS_UNAME_R", K),
        ] {
            world.env.insert(name.into(), value.into());
        }
        world
    }

    /// A variable of every later call.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.insert(name.into(), value.into());
        self
    }

    pub fn root(&self) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join("root")
    }

    fn bin(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// The place of an absolute path of this machine.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path.as_ref().strip_prefix("/").unwrap())
    }

    /// Where tests put what is not a part of the machine.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.dir.path().join("home").join(name)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        write(&self.path(path), content.as_ref());
        self
    }

    pub fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))).into()
    }

    /// Whether something has this name, be it a dangling link.
    pub fn has(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    pub fn kernel(&self, release: &str) -> Kernel<'_> {
        Kernel::new(self, release)
    }

    /// A package in /usr/src with one module of its own name, AUTOINSTALL on.
    pub fn package(&self, name: &str, version: &str) -> Package {
        Package::new(&self.path(format!("/usr/src/{name}-{version}")), name, version)
    }

    /// The same in a directory of its own, unknown to dkms.
    pub fn package_in(&self, dir: &Path, name: &str, version: &str) -> Package {
        Package::new(dir, name, version)
    }

    /// A key (PEM) and its certificate (DER) that sign for real; the same for every world.
    pub fn signing_keys(&self, key: &str, certificate: &str) -> &Self {
        self.write(key, &KEYS.0).write(certificate, &KEYS.1)
    }

    /// Puts a shell script in front of PATH.
    pub fn program(&self, name: &str, body: &str) {
        let log = self.dir.path().join("log");
        let body = body.replace("@LOG@", &log.display().to_string()).replace("@NAME@", name);
        script(&self.bin().join(name), &body);
    }

    fn tool(&self, name: &str) {
        self.program(name, TOOL);
    }

    /// What a fake tool does besides noting its call, as shell.
    pub fn tool_does(&self, name: &str, body: &str) {
        write(&self.dir.path().join("log").join(format!("{name}.does")), body.as_bytes());
    }

    /// depmod makes an index of what is there.
    pub fn depmod_indexes(&self) {
        let top = self.path("/lib/modules").display().to_string();
        let index = "find updates kernel -name '*.ko' 2>/dev/null | sort -r | sed 's/$/:/' > .new; mv .new modules.dep";
        let each = format!("test ! -d {top}/$word || (cd {top}/$word && {index})");
        self.tool_does("depmod", &format!("for word; do {each}; done 2>/dev/null"));
    }

    /// The calls of a fake tool, one line each.
    pub fn calls(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("log").join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The depmod calls of one kernel.
    pub fn depmods(&self, release: &str) -> usize {
        self.calls("depmod").iter().filter(|line| line.split(' ').any(|word| word == release)).count()
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(&self.env).stdin(Stdio::null());
        command.current_dir(self.dir.path().join("home"));
        command
    }

    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(env!("CARGO_BIN_EXE_dkms"), args), &self.dir.path().join("log"))
    }

    /// Starts `dkms` with signals as in a terminal, whatever this process ignores; nohup(1) and background jobs ignore some.
    pub fn start_in_terminal(&self, args: &[&str]) -> Running {
        let words = ["--default-signal=HUP,INT,TERM", env!("CARGO_BIN_EXE_dkms")];
        let words: Vec<&str> = words.iter().chain(args).copied().collect();
        Running::start(self.command("env", &words), &self.dir.path().join("log"))
    }

    /// Starts `dkms` as the first process of a pid namespace of its own.
    pub fn start_in_container(&self, args: &[&str]) -> Running {
        self.start_first(&[&[env!("CARGO_BIN_EXE_dkms")], args].concat())
    }

    /// Starts `dkms` as the child of the first process of a pid namespace of its own.
    pub fn start_below_first(&self, args: &str) -> Running {
        self.start_first(&["sh", "-c", &format!("dkms {args}; exit $?")])
    }

    fn start_first(&self, command: &[&str]) -> Running {
        let namespace = if nix::unistd::geteuid().is_root() { "-p" } else { "-rp" };
        let words = [namespace, "--fork", "--kill-child", "--mount-proc"];
        let words: Vec<&str> = words.iter().chain(command).copied().collect();
        Running::start(self.command("unshare", &words), &self.dir.path().join("log"))
    }

    /// Runs a shell line where the modules of kernels cannot be written. In `$modules` is their directory.
    pub fn with_fixed_modules(&self, line: &str) -> Ended {
        let namespace = if nix::unistd::geteuid().is_root() { "-m" } else { "-rm" };
        let modules = self.path("/lib/modules").display().to_string();
        let fixed = "mount --bind $modules $modules && mount -o remount,bind,ro $modules";
        let line = format!("modules={modules}; export modules; {fixed} && {{ {line}; }}");
        self.with_hooks("unshare", &[namespace, "sh", "-c", &line])
    }

    pub fn dkms(&self, args: &[&str]) -> Ended {
        self.start(args).wait()
    }

    /// Runs `dkms` as an ordinary user, who can read everything and write what `writable` names.
    pub fn as_ordinary_user(&self, args: &[&str], writable: &[&str]) -> Ended {
        let command = self.unprivileged(args);
        if nix::unistd::geteuid().is_root() {
            let top = self.dir.path().display();
            self.shell(&format!("chmod -R a+rX {top}; chmod 1777 {top}/log {top}/tmp {top}/home")).exits(0);
            for path in writable {
                self.shell(&format!("chown -R 65534:65534 {}", self.path(path).display())).exits(0);
            }
        }
        Running::start(command, &self.dir.path().join("log")).wait()
    }

    /// Runs `dkms` as an ordinary user of the real machine, where nothing is writable.
    pub fn as_stranger(&self, args: &[&str]) -> Ended {
        let mut command = self.unprivileged(args);
        command.env_remove("DKMS_ROOT");
        self.shell(&format!("chmod a+rx {}", self.dir.path().display())).exits(0);
        Running::start(command, &self.dir.path().join("log")).wait()
    }

    fn unprivileged(&self, args: &[&str]) -> Command {
        use std::os::unix::process::CommandExt;
        let program = self.bin().join("dkms-for-all");
        if !program.exists() {
            run::write_executable(|| {
                fs::copy(env!("CARGO_BIN_EXE_dkms"), &program).unwrap();
            });
        }
        let mut command = self.command(program.to_str().unwrap(), args);
        if nix::unistd::geteuid().is_root() {
            command.uid(65534).gid(65534).current_dir("/");
        }
        command
    }

    /// Runs `dkms` and expects success.
    pub fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.dkms(args);
        ended.exits(0);
        ended
    }

    pub fn hook(&self, name: &str, args: &[&str]) -> Ended {
        self.hook_with(name, args, &[])
    }

    /// What sets the work off: `dkms` with its arguments, or a hook with its own.
    pub fn pull(&self, trigger: &[&str]) -> Ended {
        match trigger {
            ["dkms", args @ ..] => self.dkms(args),
            [hook, args @ ..] => self.hook(hook, args),
            [] => unreachable!(),
        }
    }

    pub fn start_hook(&self, name: &str, args: &[&str]) -> Running {
        Running::start(self.command(&hook(name), args), &self.dir.path().join("log"))
    }

    pub fn hook_with(&self, name: &str, args: &[&str], env: &[(&str, &str)]) -> Ended {
        let mut command = self.command(&hook(name), args);
        command.envs(env.iter().copied());
        Running::start(command, &self.dir.path().join("log")).wait()
    }

    /// Runs one of our programs, `dkms` or a hook, under strace(1) with these options. The programs that it starts are not
    /// traced.
    pub fn traced(&self, options: &[String], program: &str, args: &[&str]) -> Ended {
        let path = match program {
            "dkms" | "prerm" => env!("CARGO_BIN_EXE_dkms").to_owned(),
            _ => hook(program),
        };
        let mut words: Vec<&str> = vec!["strace", "-f", "-b", "execve", "-qqq"];
        words.extend(options.iter().map(String::as_str));
        words.push(&path);
        words.extend(args);
        let command = match program {
            "prerm" => self.in_prerm("upgrade", &words),
            _ => self.command(words[0], &words[1..]),
        };
        Running::start(command, &self.dir.path().join("log")).wait()
    }

    /// `dkms` in the prerm of a package, as dpkg calls it.
    pub fn prerm(&self, argument: &str, args: &[&str]) -> Ended {
        let words = [&[env!("CARGO_BIN_EXE_dkms")], args].concat();
        Running::start(self.in_prerm(argument, &words), &self.dir.path().join("log")).wait()
    }

    /// A command in the prerm of a package. Killed, the script ends in the same way.
    fn in_prerm(&self, argument: &str, words: &[&str]) -> Command {
        let file = self.scratch("m-dkms.prerm");
        script(&file, "shift; \"$@\"; status=$?; test $status -le 128 || kill -KILL $$; exit $status");
        let mut command = self.command(file.to_str().unwrap(), &[&[argument], words].concat());
        command.env("DPKG_MAINTSCRIPT_PACKAGE", "m-dkms");
        command
    }

    /// A shell line, with the hook programs as `$postinst` and so on.
    pub fn shell(&self, line: &str) -> Ended {
        self.with_hooks("sh", &["-c", line])
    }

    /// In the program's environment each hook's name is its path.
    fn with_hooks(&self, program: &str, args: &[&str]) -> Ended {
        let mut command = self.command(program, args);
        for (name, _) in HOOKS {
            command.env(name.replace('-', "_"), hook(name));
        }
        Running::start(command, &self.dir.path().join("log")).wait()
    }

    /// Runs a shell line on a pseudo-terminal of this width; what it shows is in standard output, with `\n` at line ends.
    pub fn on_terminal(&self, columns: usize, env: &[(&str, &str)], line: &str) -> Ended {
        let shell = format!("stty cols {columns} rows 24; {line}");
        let mut command = self.command("script", &["-qefc", &shell, "/dev/null"]);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh").envs(env.iter().copied());
        let mut ended = Running::start(command, &self.dir.path().join("log")).wait();
        ended.stdout = ended.stdout.replace("\r\n", "\n");
        ended
    }

    /// What `status` prints, line by line.
    pub fn status(&self) -> Vec<String> {
        self.ok(&["status"]).stdout.lines().map(str::to_owned).collect()
    }

    /// The DKMS tree: directories end in a slash, links tell where they lead. Our lock file is left out.
    pub fn tree(&self) -> Vec<String> {
        self.listing("/var/lib/dkms").into_keys().filter(|name| name != ".lock").collect()
    }

    /// What stands below a directory of this machine.
    pub fn names(&self, dir: &str) -> Vec<String> {
        self.listing(dir).into_keys().collect()
    }

    /// Everything on this machine with its content, besides our lock file.
    pub fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = self.listing("/");
        all.remove("var/lib/dkms/.lock");
        // It names this world's own directory.
        all.remove("etc/dkms/framework.conf.d/00-world.conf");
        all
    }

    fn listing(&self, dir: &str) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let top = self.path(dir);
        list(&top, "", &self.root().display().to_string(), &mut found);
        found
    }
}

fn list(dir: &Path, prefix: &str, root: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap().display().to_string();
            found.insert(format!("{name} -> {}", target.strip_prefix(root).unwrap_or(&target)), Vec::new());
        } else if kind.is_dir() {
            found.insert(format!("{name}/"), Vec::new());
            list(&entry.path(), &format!("{name}/"), root, found);
        } else {
            found.insert(name, fs::read(entry.path()).unwrap_or_default());
        }
    }
}

/// The path of a hook's program.
pub fn hook(name: &str) -> String {
    let (_, program) =
        HOOKS.iter().find(|(hook, _)| *hook == name).unwrap_or_else(|| panic!("no hook {name}"));
    HOOK_DIR.join(program).display().to_string()
}

/// Writes a file and the directories above it.
pub fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Writes an executable shell script.
pub fn script(path: &Path, body: &str) {
    run::write_executable(|| write(path, format!("#!/bin/sh\n{body}\n").as_bytes()));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Waits for something another process does.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..5000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(4));
    }
    panic!("in vain waited until {what}");
}

/// `M/V, K, A: state`.
pub fn line(package: &str, release: &str, state: &str) -> String {
    format!("{package}, {release}, {}: {state}", *A)
}
