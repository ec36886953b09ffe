//! What kbuild asks of compilers is answered from a table, and everything else goes to the compiler.

use crate::world::{MAKE, World, spawn, wait_until};
use rstest::rstest;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// As kbuild does (scripts/Makefile.compiler, try-run).
const ASK: &str = r#"ask() {
    mkdir -p .tmp_$$
    if gcc -Werror "$@" -c -x c /dev/null -o .tmp_$$/tmp >said 2>&1; then
        echo "yes $1 $(cat .tmp_$$/tmp) $(cat said)"
    else
        echo "no $1 $(cat said)"
    fi
    rm -rf .tmp_$$
}
"#;

/// The compiler of these tests, compiled once.
fn gcc() -> &'static Path {
    static GCC: OnceLock<PathBuf> = OnceLock::new();
    GCC.get_or_init(|| {
        let gcc = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gcc");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gcc.c");
        let done = spawn(Command::new("cc").args(["-O1", "-o"]).arg(&gcc).arg(source)).wait().unwrap();
        assert!(done.success());
        gcc
    })
}

fn world() -> World {
    let world = World::new();
    for part in ["gcc", "cc1", "as", "ld"] {
        world.program(part, "exit 0");
    }
    let bin = world.root().parent().unwrap().join("bin");
    fs::remove_file(bin.join("gcc")).unwrap();
    fs::copy(gcc(), bin.join("gcc")).unwrap();
    world
}

fn calls(world: &World) -> Vec<String> {
    let calls = fs::read_to_string(world.scratch("gcc.calls")).unwrap_or_default();
    calls.lines().filter(|line| line.contains("/dev/null")).map(str::to_owned).collect()
}

fn answers(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.starts_with("yes ") || line.starts_with("no ")).collect()
}

#[rstest]
#[case::answered("", 2)]
#[case::switched_off("probe_cache=\"no\"\n", 4)]
#[case::without_walls("build_isolation=\"off\"\n", 2)]
fn second_question_has_the_same_answer(#[case] settings: &str, #[case] asked: usize) {
    let world = world();
    world.write("/etc/dkms/framework.conf.d/10-probes.conf", settings);
    let package = world.package("m", "1.0");
    package.recipe(&format!("{ASK}ask -O2; ask -fno-such; ask -O2; ask -fno-such"));
    world.ok(&["build", "m/1.0"]);
    let log = world.tree().into_iter().find(|path| path.ends_with("log/make.log")).unwrap();
    let log = world.read(&format!("/var/lib/dkms/{log}"));
    let answers = answers(&log);
    assert_eq!(answers.len(), 4, "{log}");
    assert_eq!((answers[0], answers[1]), (answers[2], answers[3]), "{log}");
    assert!(answers[0].starts_with("yes -O2 object "), "{log}");
    assert!(answers[0].ends_with("gcc") && !answers[0].contains("/compilers/"), "{log}");
    assert_eq!(answers[1], "no -fno-such gcc: error: unrecognized command-line option");
    assert_eq!(calls(&world).len(), asked, "{:?}", calls(&world));
}

/// A kernel whose makefiles ask, and four packages that ask the same.
fn asking_kernel(world: &World) {
    let ask = "case $* in *M=*/empty*) cd \"${*##*M=}\"; ask -O2; ask -fno-such; exit;; esac";
    world.program("make", &format!("{ASK}{ask}\n{MAKE}"));
    for name in ["m1", "m2", "m3", "m4"] {
        world.package(name, "1.0").recipe(&format!("{ASK}ask -O2; ask -fno-such; ask -O3"));
        world.ok(&["add", &format!("{name}/1.0")]);
    }
}

#[test]
fn what_every_kbuild_asks_is_asked_once() {
    let world = world();
    asking_kernel(&world);
    world.ok(&["autoinstall"]);
    let calls = calls(&world);
    // The answers for all builds were given where DKMS_SCRATCH cannot be written; -O3 is each build's own question.
    assert_eq!(calls.len(), 4, "{calls:?}");
    assert!(calls.iter().all(|call| call.contains("-O3")), "{calls:?}");
    let left = world.tree().into_iter().any(|path| path.contains(".dkms-cc"));
    assert!(!left, "{:?}", world.tree());
}

#[rstest]
#[case::answer("for f in $own/answer-*; do sed 's/object/forged/' $f >$common/${f##*/}; done")]
#[case::own_answer("for f in $own/answer-*; do sed -i 's/object/forged/' $f; done")]
#[case::shim("echo '#!/bin/sh' >$PWD/x; cp $PWD/x ${PATH%%:*}/gcc")]
fn no_build_answers_for_another(#[case] forge: &str) {
    let world = world();
    asking_kernel(&world);
    let recipe = format!(
        "{ASK}own=${{DKMS_CC_TABLES%%:*}} common=${{DKMS_CC_TABLES##*:}}; ask -O2; ask -O3; ({forge}) 2>/dev/null; true"
    );
    world.package("a", "1.0").recipe(&recipe);
    world.ok(&["add", "a/1.0"]);
    world.ok(&["autoinstall", "-j", "1"]);
    let logs =
        world.tree().into_iter().filter(|path| path.starts_with("m") && path.ends_with("log/make.log"));
    let logs: Vec<String> = logs.map(|log| world.read(&format!("/var/lib/dkms/{log}"))).collect();
    assert_eq!(logs.len(), 4);
    for log in logs {
        assert_eq!(answers(&log).iter().filter(|answer| answer.contains(" object ")).count(), 2, "{log}");
    }
}

#[rstest]
#[case::compiler("echo '# new' >>\"$DKMS_SCRATCH/../bin/gcc\"")]
#[case::assembler("echo '# new' >>\"$DKMS_SCRATCH/../bin/as\"")]
#[case::assembler_in_path(
    "mkdir other; printf '#!/bin/sh\\n' >other/as; chmod 755 other/as; PATH=$PATH:nowhere:$PWD/other; rm \"$DKMS_SCRATCH/../bin/as\""
)]
#[case::language("export LANG=de_DE.UTF-8")]
fn answer_of_another_compiler_is_not_used(#[case] change: &str) {
    let world = world();
    world.write("/etc/dkms/framework.conf.d/10-probes.conf", "build_isolation=\"off\"\n");
    world.package("m", "1.0").recipe(&format!("{ASK}ask -O2; {change}; ask -O2; ask -O2"));
    world.ok(&["build", "m/1.0"]);
    assert_eq!(calls(&world).len(), 2, "{:?}", calls(&world));
}

#[rstest]
#[case::its_own_path("MAKE=\"PATH=$PATH make\"")]
#[case::a_cache("MAKE=\"make CC='ccache gcc'\"")]
fn package_with_other_compilers_finds_them(#[case] conf: &str) {
    let world = world();
    world.package("m", "1.0").conf(conf).recipe("command -v gcc");
    world.ok(&["build", "m/1.0"]);
    let log = world.tree().into_iter().find(|path| path.ends_with("log/make.log")).unwrap();
    let log = world.read(&format!("/var/lib/dkms/{log}"));
    assert!(log.lines().any(|line| line.ends_with("/bin/gcc")), "{log}");
    assert!(!log.contains("/compilers/gcc"), "{log}");
}

#[test]
fn sources_are_compiled_by_the_compiler() {
    let world = world();
    let recipe = "cp $(command -v gcc) mycc && ./mycc --help && gcc -c x.c -o x.o && env -i DKMS_SCRATCH=$DKMS_SCRATCH $(command -v gcc) -c x.c -o x.o && (exec -a x gcc --version); cat x.o";
    world.package("m", "1.0").recipe(&format!("bash -c '{recipe}'"));
    world.ok(&["build", "m/1.0"]);
    let calls = fs::read_to_string(world.scratch("gcc.calls")).unwrap();
    assert_eq!(calls, "-dumpversion\n--help\n-c x.c -o x.o\n-c x.c -o x.o\n--version\n");
}

#[test]
fn script_called_gcc_is_left_alone() {
    let world = world();
    // It takes its own directory out of PATH, and would find us there.
    let real = world.scratch("real");
    fs::create_dir(&real).unwrap();
    fs::copy(gcc(), real.join("gcc")).unwrap();
    let bin = world.root().parent().unwrap().join("bin");
    fs::remove_file(bin.join("gcc")).unwrap();
    world.program(
        "gcc",
        &format!("PATH=${{PATH#{}:}}; PATH={}:$PATH exec gcc \"$@\"", bin.display(), real.display()),
    );
    world.package("m", "1.0").recipe("timeout 20 gcc --version");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(fs::read_to_string(world.scratch("gcc.calls")).unwrap(), "--version\n");
}

#[test]
fn table_of_a_killed_run_is_removed() {
    let world = world();
    for name in ["m1", "m2", "m3", "m4"] {
        world
            .package(name, "1.0")
            .recipe("test -e $DKMS_SCRATCH/go || { touch $DKMS_SCRATCH/$$; sleep 60; }");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let is_table = |path: &String| path.contains(".dkms-cc-");
    let run = world.start(&["autoinstall"]);
    wait_until("a build runs", || {
        world.tree().iter().any(is_table) && world.scratch("").read_dir().unwrap().count() > 0
    });
    run.kill();
    assert!(world.tree().iter().any(is_table));
    fs::write(world.scratch("go"), "").unwrap();
    world.ok(&["autoinstall"]);
    assert!(!world.tree().iter().any(is_table), "{:?}", world.tree());
}
