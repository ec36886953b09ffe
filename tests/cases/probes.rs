//! What kbuild asks of compilers is answered from a table, and everything else goes to the compiler.

use crate::world::{World, wait_until};
use rstest::rstest;
use std::fs;

/// Writes down each call, and compiles nothing. What begins with `-fno-such` it does not know.
const GCC: &str = r#"case $1 in -print-prog-name=*) echo "${0%/*}/${1#*=}"; exit;; esac
{ echo "$*" >>"$DKMS_SCRATCH/gcc.calls"; } 2>/dev/null
case " $* " in *" -fno-such"*) echo "gcc: error: unrecognized command-line option" >&2; exit 1;; esac
while [ $# -gt 0 ]; do [ "$1" != -o ] || echo object >"$2"; shift; done
echo "$0""#;
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

fn world() -> World {
    let world = World::new();
    world.program("gcc", GCC);
    for part in ["cc1", "as", "ld"] {
        world.program(part, "exit 0");
    }
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
    assert!(answers[0].starts_with("yes -O2 object /"), "{log}");
    assert!(answers[0].ends_with("/bin/gcc") && !answers[0].contains("/compilers/"), "{log}");
    assert_eq!(answers[1], "no -fno-such gcc: error: unrecognized command-line option");
    assert_eq!(calls(&world).len(), asked, "{:?}", calls(&world));
}

#[test]
fn later_builds_know_what_earlier_ones_asked() {
    let world = world();
    for name in ["m1", "m2", "m3", "m4"] {
        world.package(name, "1.0").recipe(&format!("{ASK}ask -O2; ask -fno-such"));
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["autoinstall", "-j", "1"]);
    // Where dkms asks for all, nothing can be written down.
    assert_eq!(calls(&world).len(), 2, "{:?}", calls(&world));
    let left = world.tree().into_iter().any(|path| path.contains(".dkms-cc"));
    assert!(!left, "{:?}", world.tree());
}

#[test]
fn forged_answer_is_not_passed_on() {
    let world = world();
    // Both answers exchanged, as a build could write them into its own table.
    let forge = "cd ${DKMS_CC_TABLES%%:*}; for f in answer-*; do sed -i 's/object/forged/' $f; done; cd -";
    world.package("a", "1.0").recipe(&format!("{ASK}ask -O2; {forge}; ask -O2"));
    world.package("b", "1.0").recipe(&format!("{ASK}ask -O2"));
    for id in ["a/1.0", "b/1.0"] {
        world.ok(&["add", id]);
    }
    world.ok(&["autoinstall", "-j", "1"]);
    let logs = world.tree().into_iter().filter(|path| path.ends_with("log/make.log"));
    let logs: Vec<String> = logs.map(|log| world.read(&format!("/var/lib/dkms/{log}"))).collect();
    assert_eq!(logs.len(), 2);
    assert!(answers(&logs[0])[1].contains(" forged "), "{}", logs[0]);
    assert!(answers(&logs[1])[0].contains(" object "), "{}", logs[1]);
}

#[rstest]
#[case::compiler("echo '# new' >>\"$DKMS_SCRATCH/../bin/gcc\"")]
#[case::assembler("echo '# new' >>\"$DKMS_SCRATCH/../bin/as\"")]
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
    world.package("m", "1.0").recipe("gcc -c x.c -o x.o && gcc -c x.c -o x.o && gcc --version; cat x.o");
    world.ok(&["build", "m/1.0"]);
    let calls = fs::read_to_string(world.scratch("gcc.calls")).unwrap();
    assert_eq!(calls, "-c x.c -o x.o\n-c x.c -o x.o\n--version\n");
}

#[test]
fn table_of_a_killed_run_is_removed() {
    let world = world();
    for name in ["m1", "m2"] {
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
