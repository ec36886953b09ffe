//! What programs find that are started for a build: variables, directory and signals.

use crate::world::{A, K, World, line, script, wait_until};
use rstest::rstest;
use std::fs;

/// Shell that notes its variables and directory as `$DKMS_SCRATCH/seen-NAME`.
fn tell(name: &str) -> String {
    format!("{{ pwd; env | sort; }} > \"$DKMS_SCRATCH/seen-{name}\"\n")
}

fn seen(world: &World, name: &str) -> Vec<String> {
    let text = fs::read_to_string(world.scratch(&format!("seen-{name}"))).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn value(lines: &[String], name: &str) -> Option<String> {
    lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// What a caller with `sudo -E` may have.
const HARMFUL: [(&str, &str); 14] = [
    ("BASH_ENV", "/nowhere/evil.sh"),
    ("ENV", "/nowhere/evil.sh"),
    ("BASH_FUNC_cp%%", "() { false; }"),
    ("BASH_FUNC_make%%", "() { false; }"),
    ("SHELLOPTS", "braceexpand:errexit:noexec"),
    ("MAKEFILES", "/nowhere/evil.mk"),
    ("GNUMAKEFLAGS", "--dry-run"),
    ("MAKEFLAGS", "n"),
    ("CROSS_COMPILE", "no-such-machine-"),
    ("KBUILD_OUTPUT", "/nowhere"),
    ("LLVM", "1"),
    ("ARCH", "arm64"),
    ("KCFLAGS", "-Wrong"),
    ("CDPATH", "/"),
];

#[rstest]
#[case("install")]
#[case("autoinstall")]
fn callers_variables_that_change_a_build_stay_out(#[case] action: &str) {
    let mut world = World::new();
    for (name, value) in HARMFUL {
        world.set(name, value);
    }
    world.set("FROM_CALLER", "yes");
    let scripts = ["pre_build", "post_build", "pre_install", "post_install", "post_add"];
    let mut package = world.package("m", "1.0").recipe(&tell("make"));
    for name in scripts {
        package = package.script(name, &tell(name)).conf(&format!("{}={name}", name.to_uppercase()));
    }
    world.ok(&["add", "m/1.0"]);
    world.ok(if action == "install" { &["install", "m/1.0"] } else { &["autoinstall"] });
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    for name in scripts.iter().chain(&["make"]) {
        let lines = seen(&world, name);
        assert_eq!(value(&lines, "FROM_CALLER").as_deref(), Some("yes"), "{name}: {lines:#?}");
        for (harmful, text) in HARMFUL {
            let found = value(&lines, harmful);
            assert!(found.is_none_or(|found| found != text), "{name} finds {harmful}: {lines:#?}");
        }
    }
}

#[test]
fn conf_is_read_without_harmful_variables() {
    let mut world = World::new();
    for (name, value) in HARMFUL {
        world.set(name, value);
    }
    let names =
        HARMFUL.iter().map(|(name, _)| *name).filter(|name| !name.contains('%') && *name != "SHELLOPTS");
    let tests: String = names.map(|name| format!("${{{name}:-}}")).collect();
    world.package("m", "1.0").conf(&format!("if [ -n \"{tests}\" ]; then BUILD_EXCLUSIVE_KERNEL=^never; fi"));
    world.ok(&["install", "m/1.0"]);
}

#[test]
fn sign_tool_gets_variables_and_build_directory() {
    let mut world = World::new();
    world.kernel(K).config("CONFIG_MODULE_SIG_HASH=\"sha256\"\nCONFIG_CC_VERSION_TEXT=\"gcc (Debian) 12\"\n");
    world.signing_keys("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub");
    world.set("try_sign_modules", "true");
    let helper = world.scratch("helper");
    script(&helper, &format!("{}\nexit 1", tell("sign")));
    world.write("/etc/dkms/framework.conf", format!("sign_file=\"{}\"\n", helper.display()));
    // A script of the administrator stands below the root of the machine.
    fs::create_dir_all(world.path("/").join(helper.parent().unwrap().strip_prefix("/").unwrap())).unwrap();
    fs::copy(&helper, world.path("/").join(helper.strip_prefix("/").unwrap())).unwrap();
    world.program("gcc", "exit 0");
    world.package("m", "1.0");
    world.dkms(&["install", "m/1.0"]);
    let lines = seen(&world, "sign");
    let expected = [
        ("module", "m"),
        ("module_version", "1.0"),
        ("kernelver", K),
        ("arch", A.as_str()),
        ("CC", "gcc"),
        ("KERNEL_CC", "gcc"),
    ];
    for (name, text) in expected {
        assert_eq!(value(&lines, name).as_deref(), Some(text), "{name}: {lines:#?}");
    }
    assert_eq!(lines[0], world.path("/var/lib/dkms/m/1.0/build").display().to_string());
}

#[test]
fn scripts_of_installation_get_variables_of_its_build() {
    let world = World::new();
    world.kernel(K).config("CONFIG_CC_VERSION_TEXT=\"gcc (Debian) 12\"\n");
    world.program("gcc", "exit 0");
    let package = world.package("m", "1.0").script("post", &tell("post")).script("pre", &tell("pre"));
    package.script("added", &tell("added")).conf("PRE_INSTALL=pre\nPOST_INSTALL=post\nPOST_ADD=added");
    world.ok(&["install", "m/1.0"]);
    for name in ["pre", "post", "added"] {
        let lines = seen(&world, name);
        for (variable, text) in
            [("module", "m"), ("module_version", "1.0"), ("kernelver", K), ("arch", A.as_str())]
        {
            assert_eq!(value(&lines, variable).as_deref(), Some(text), "{name}: {lines:#?}");
        }
        assert_eq!(value(&lines, "CC").is_some(), name != "added", "{name}: {lines:#?}");
    }
}

#[test]
fn messages_of_a_build_are_english() {
    let mut world = World::new();
    world.set("LC_ALL", "de_DE.UTF-8").set("LANGUAGE", "de");
    world.package("m", "1.0").recipe(&tell("make"));
    world.ok(&["build", "m/1.0"]);
    let lines = seen(&world, "make");
    assert_eq!(value(&lines, "LC_MESSAGES").as_deref(), Some("C"));
    assert_eq!(value(&lines, "LC_CTYPE").as_deref(), Some("de_DE.UTF-8"));
    assert!(value(&lines, "LC_ALL").is_none_or(|text| text.is_empty()));
}

#[rstest]
#[case("make a && make b")]
#[case("{ make; }")]
#[case("if true; then make; fi")]
#[case("(make)")]
fn clang_kernel_keeps_the_shell_line(#[case] command: &str) {
    let world = World::new();
    world.kernel(K).config("CONFIG_CC_IS_CLANG=y\n");
    world.package("m", "1.0").recipe(&tell("make")).conf(&format!("MAKE=\"{command}\""));
    world.ok(&["build", "m/1.0"]);
    assert!(world.calls("make").iter().all(|call| !call.contains("LLVM")), "{:?}", world.calls("make"));
    assert_eq!(value(&seen(&world, "make"), "LLVM").as_deref(), Some("1"));
}

#[rstest]
#[case::sleeps("MAKE=\"touch $DKMS_SCRATCH/begun; sleep 30; cp m.ko.in m.ko\"", "INT")]
#[case::ends_well("MAKE=\"(touch $DKMS_SCRATCH/begun; sleep 30); cp m.ko.in m.ko; true\"", "INT")]
#[case::script("PRE_BUILD=slow", "INT")]
#[case::terminated("MAKE=\"touch $DKMS_SCRATCH/begun; sleep 30; cp m.ko.in m.ko\"", "TERM")]
#[case::hung_up("MAKE=\"touch $DKMS_SCRATCH/begun; sleep 30; cp m.ko.in m.ko\"", "HUP")]
fn interrupted_build_installs_nothing_and_ends_soon(#[case] conf: &str, #[case] signal: &str) {
    let world = World::new();
    world.package("m", "1.0").script("slow", "touch \"$DKMS_SCRATCH/begun\"; sleep 30; true").conf(conf);
    let running = world.start_in_terminal(&["install", "m/1.0"]);
    wait_until("it has begun", || world.scratch("begun").exists());
    world.shell(&format!("kill -{signal} {}", running.pid())).exits(0);
    let ended = running.wait();
    ended
        .exits(
            128 + match signal {
                "INT" => 2,
                "TERM" => 15,
                _ => 1,
            },
        )
        .complains("Interrupted; unfinished work was undone.");
    ended.check(ended.took.as_secs() < 20, "the program ended with the signal");
    ended.is_silent_about("installed");
    assert_eq!(world.status(), ["m/1.0: added"]);
    assert!(!world.has(&format!("/lib/modules/{K}/updates")));
}

#[test]
fn programs_start_with_no_signal_blocked() {
    let world = World::new();
    world.package("m", "1.0").recipe("grep SigBlk /proc/self/status > \"$DKMS_SCRATCH/blocked\"");
    // A caller that blocks all three.
    let line = "python3 -c 'import signal,os,sys; signal.pthread_sigmask(signal.SIG_BLOCK, {1,2,15}); os.execvp(\"dkms\", [\"dkms\", \"install\", \"m/1.0\"])'";
    world.shell(line).exits(0);
    let text = fs::read_to_string(world.scratch("blocked")).unwrap();
    assert_eq!(text.split_whitespace().nth(1), Some("0000000000000000"));
}

#[test]
fn signal_after_work_says_that_it_was_complete() {
    let world = World::new();
    world.package("m", "1.0").script("post", "kill -INT $PPID; sleep 0.3; true").conf("POST_INSTALL=post");
    let ended = world.start_in_terminal(&["install", "m/1.0"]).wait();
    ended.exits(130);
    let installed = world.status() == [line("m/1.0", K, "installed")];
    let complete = ended.stderr.contains("the work was already complete");
    ended.check(installed == complete, "what is said is true");
}
