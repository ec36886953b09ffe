//! What the fallback to bash must reproduce, and must survive.

use super::{WHITELIST, World, map};
use crate::conf::eval::{EvalError, Evaluator, evaluate};
use rstest::rstest;
use std::time::{Duration, Instant};

#[test]
fn a_conf_that_never_ends_is_stopped() {
    for text in ["MAKE=a\nwhile :; do :; done\n", "MAKE='a$(sleep 60)'\n"] {
        let world = World::new();
        fs_err::write(world.conf(), text).unwrap();
        let start = Instant::now();
        let limit = Duration::from_millis(200);
        let result = evaluate(&world.conf(), text.as_bytes(), &WHITELIST, &world.scope, limit);
        assert!(matches!(result, Err(EvalError::TimedOut(_))), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[rstest]
#[case::exits("MAKE=a\nexit 0\n", None)]
#[case::exits_in_a_function("f() { exit; }\nMAKE=a\nf\n", None)]
#[case::fails_under_errexit("MAKE=a\nset -e\nfalse\n", None)]
#[case::bad_index("MAKE=a\nMAKE[08]=b\n", None)]
#[case::bad_substitution("MAKE=a\nx=${kernel source dir}\nMAKE=b\n", None)]
#[case::division_by_zero("MAKE=a\nx=$((1/0))\nMAKE=b\n", None)]
#[case::empty_index("MAKE=a\nMAKE[]=b\nMAKE=c\n", None)]
#[case::negative_index("MAKE=(a)\nMAKE[-5]=b\nMAKE=c\n", None)]
#[case::readonly("MAKE=a\nreadonly x=1; x=2\nMAKE=b\n", None)]
#[case::required("MAKE=a\n: ${nothing:?is set}\nMAKE=b\n", None)]
#[case::unset_under_nounset("MAKE=a\nset -u\nx=$nothing\nMAKE=b\n", None)]
#[case::kills_itself("MAKE=a\nkill -9 $BASHPID\n", None)]
#[case::kills_its_shell("MAKE=a\nkill -9 $$\n", None)]
#[case::nounset("MAKE=a\nset -u\n", Some("a"))]
#[case::noglob_and_trace("MAKE=a\nset -xv\n", Some("a"))]
#[case::prints("echo out\nprintf 'V\\0MAKE\\0000\\0001\\0z\\0E\\0'\nMAKE=a\n", Some("a"))]
#[case::prints_on_other_descriptors("for i in 3 4 9 10 11; do echo z >&$i; done\nMAKE=a\n", Some("a"))]
#[case::moves_stdout("exec >/dev/null\nMAKE=a\n", Some("a"))]
#[case::reads_stdin("read x\ncat\nMAKE=\"a$x\"\n", Some("a"))]
#[case::traps("trap 'echo z' EXIT DEBUG RETURN\nMAKE=a\n", Some("a"))]
#[case::redefines("printf() { :; }\necho() { :; }\nset() { :; }\neval() { :; }\nMAKE=a\n", Some("a"))]
#[case::background("sleep 30 &\nMAKE=a\n", Some("a"))]
#[case::associative("declare -A MAKE=([x]=y)\nMAKE[0]=a\n", Some("a"))]
#[case::newlines_in_values("MAKE=$(printf 'a\\n\\nb')\n", Some("a b"))]
#[case::not_utf8_by_bash("MAKE=$(printf 'a\\377')\n", Some("a\u{fffd}"))]
#[case::changed_directory("cd / && MAKE=$PWD\n", Some("/"))]
fn a_conf_that_does_odd_things_is_read(#[case] text: &str, #[case] make: Option<&str>) {
    let start = Instant::now();
    let evaluation = World::new().evaluate(text);
    assert_eq!(evaluation.values.get("MAKE"), make, "{evaluation:?}");
    assert_eq!(evaluation.evaluator, Evaluator::Bash);
    assert!(start.elapsed() < Duration::from_secs(10), "waited for the background");
}

#[rstest]
#[case("\n")]
#[case("\r\n")]
fn bash_source_is_the_real_path(#[case] end: &str) {
    let world = World::new();
    let lines = [
        "x=$(echo ${BASH_SOURCE%/dkms.conf})",
        "f() {",
        "MAKE=$x",
        "}",
        "f",
        "CLEAN=\"$BASH_SOURCE\"",
        "nope",
    ];
    let evaluation = world.evaluate(lines.join(end) + end);
    let dir = world.dir.path().to_str().unwrap();
    assert_eq!(evaluation.values.get("MAKE"), Some(dir), "{evaluation:?}");
    assert_eq!(evaluation.values.get("CLEAN"), Some(format!("{dir}/dkms.conf").as_str()));
    let message = format!("{dir}/dkms.conf: line 7: nope: command not found");
    assert_eq!(evaluation.messages, [message]);
}

#[test]
fn foreign_line_ends_keep_compound_commands() {
    let text = "if true; then\r\n  return\r\nelse\r\nMAKE=b\r\nfi\r\nMAKE=c\r\n";
    let evaluation = World::new().evaluate(text.replace("return", "MAKE=\"a $x\""));
    assert_eq!(evaluation.values.get("MAKE"), Some("c"));
    assert!(evaluation.messages.is_empty(), "{evaluation:?}");
    let evaluation = World::new().evaluate(format!("local x=1\r\nMAKE=a\r\n{text}"));
    assert_eq!(evaluation.values.get("MAKE"), Some("a"));
}

#[rstest]
#[case("MAKE='$#:$1:$*:$@'\n", "0:::")]
#[case("MAKE='$(echo $# \"$1\")'\n", "0 ")]
fn the_second_reading_has_no_positional_parameters(#[case] text: &str, #[case] make: &str) {
    let evaluation = World::new().evaluate(text);
    assert_eq!(evaluation.values.get("MAKE"), Some(make), "{evaluation:?}");
}

#[test]
fn environment_functions_and_start_files_stay_out() {
    let mut world = World::new();
    let start_file = world.dir.path().join("start");
    fs_err::write(&start_file, "STARTED=yes\n").unwrap();
    world.scope.environment.extend(map(&[
        ("BASH_ENV", start_file.to_str().unwrap()),
        ("BASH_FUNC_nproc%%", "() { echo 99; }"),
        ("SHELLOPTS", "nounset:noglob"),
        ("POSIXLY_CORRECT", "1"),
    ]));
    let evaluation = world.evaluate("MAKE=\"$(nproc)$STARTED\"\n");
    let make = evaluation.values.get("MAKE").unwrap();
    assert!(make != "99" && make.parse::<u32>().is_ok(), "{evaluation:?}");
    assert!(evaluation.messages.is_empty(), "{evaluation:?}");
}

#[test]
fn value_lost_in_the_second_reading_is_named() {
    let evaluation =
        World::new().evaluate("MAKE='$(echo a) \"b c\" d'\nCLEAN='$(echo x'\nPRE_BUILD='$(echo a)'\n");
    assert_eq!(evaluation.lost, ["MAKE", "CLEAN"], "{evaluation:?}");
    assert_eq!(evaluation.cut, ["MAKE"]);
    assert_eq!(evaluation.values.get("PRE_BUILD"), Some("a"));
}

#[test]
fn a_failed_expansion_loses_the_values() {
    let evaluation = World::new().evaluate("PACKAGE_NAME=p\nMAKE='${nothing:?is set}'\n");
    assert_eq!(evaluation.lost, ["PACKAGE_NAME", "MAKE"], "{evaluation:?}");
    assert!(evaluation.values.is_empty());
}

#[test]
fn variables_of_dkms_are_not_exported() {
    let mut world = World::new();
    world.scope.variables.insert("dkms_effective_location".to_owned(), "/updates/dkms".to_owned());
    let evaluation =
        world.evaluate("MAKE=$(sh -c 'echo x$kernelver')\nCLEAN=$(override_dest_module_location /extra)\n");
    assert_eq!(evaluation.values.get("MAKE"), Some("x"));
    assert_eq!(evaluation.values.get("CLEAN"), Some("/updates/dkms"));
}
