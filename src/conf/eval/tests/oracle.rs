//! The native evaluator beside bash, on generated confs.
//!
//! The oracle is the model of the original in its own language: source the file, print every value with an unquoted
//! `echo`, source what was printed.

use super::super::{read_natively, reread, visible};
use super::World;
use super::generator::Generator;
use crate::conf::Values;
use crate::system::process::{Command, Output};
use std::collections::BTreeMap;
use std::path::Path;

/// With wildcards and programs switched off, as ours never uses them. A line the shell cannot read ends a reading.
const ORACLE: &str = r#"
shopt -s extglob
unset OLDPWD
print() {
    local name index indices text
    for name in @NAMES@; do
        eval "indices=(\"\${!$name[@]}\")"
        for index in "${indices[@]}"; do
            eval "text=\${$name[$index]}"
            text="$name[$index]=\"${text%$'\r'}\""
            echo $text
        done
    done
    # In a subshell, bash replaces itself by a program that ends the last list of a sourced file.
    echo :
}
values() {
    local name index
    for name in @NAMES@; do
        eval "set -- \"\${!$name[@]}\""
        for index in "$@"; do
            eval "printf '%s\0' $name $index \"\${$name[$index]}\""
        done
    done
}
first() { . "$1" >/dev/null; set -f; print >&3; }
second() { . ./printed >/dev/null; values >&3; }
override_dest_module_location() { echo "$1"; }
for number in @NUMBERS@; do
    file=./$number
    [ ! -d "$file" ] || file=$PWD/$number/dkms.conf
    : >printed
    (first "$file") 3>printed
    printf '%s\0' conf $number ''
    (PATH=@PATH@; set -f; second) 3>&1
done
"#;

/// The directives that the generator uses, in the order of the second reading.
const WHITELIST: &[&str] = &["PACKAGE_NAME", "MAKE", "PATCH", "CLEAN"];

/// How bash reads one file that may run programs: `dir` holds it as `dkms.conf`, with what it needs.
pub(crate) fn read_by_bash(world: &World, dir: &Path) -> Values {
    let top = dir.parent().unwrap();
    fs_err::rename(dir, top.join("0")).unwrap();
    let oracle = Oracle { names: &crate::conf::WHITELIST, path: "$PATH" };
    let values = oracle.ask(world, top, &[0]).remove(&0).unwrap();
    fs_err::rename(top.join("0"), dir).unwrap();
    values
}

/// What the oracle is asked for.
struct Oracle<'a> {
    names: &'a [&'a str],
    /// Where the second reading finds programs.
    path: &'a str,
}

type Results = BTreeMap<usize, Values>;

/// No program runs in the second reading of generated confs.
fn ask_bash(world: &World, dir: &Path, numbers: &[usize]) -> Results {
    Oracle { names: WHITELIST, path: "/nonexistent" }.ask(world, dir, numbers)
}

impl Oracle<'_> {
    fn ask(&self, world: &World, dir: &Path, numbers: &[usize]) -> Results {
        let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let variables: String =
            world.scope.variables.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
        let script = variables
            + &ORACLE
                .replace("@NAMES@", &self.names.join(" "))
                .replace("@NUMBERS@", &list.join(" "))
                .replace("@PATH@", self.path);
        let command =
            Command::new("bash").args(["--norc", "-c", &script]).env_clear().dir(dir).stdout(Output::Capture);
        let command =
            world.scope.environment.iter().fold(command, |command, (name, value)| command.env(name, value));
        let output = String::from_utf8(command.run().unwrap().stdout).unwrap();
        let mut fields = output.split_terminator('\0');
        let (mut results, mut current) = (Results::new(), 0);
        while let (Some(name), Some(number), Some(value)) = (fields.next(), fields.next(), fields.next()) {
            let number = number.parse().unwrap();
            if name == "conf" {
                current = number;
                results.insert(current, Values::new());
            } else {
                results.get_mut(&current).unwrap().set(name, number, value);
            }
        }
        results
    }
}

/// Both readings, or nothing if either needs bash.
fn evaluate_natively(world: &World, text: &str) -> Option<Values> {
    let mut shell = visible(WHITELIST, &world.scope);
    let first = read_natively(text.as_bytes(), WHITELIST, &shell).ok()?;
    reread::run(&reread::plan(&first.printed), &mut shell).ok()?;
    Some(shell.variables.iter().filter(|(name, ..)| WHITELIST.contains(name)).collect())
}

/// What a confrontation with bash came to.
#[derive(Debug, Default)]
struct Tally {
    native: usize,
    /// The first conf that ours reads differently.
    wrong: Option<String>,
}

/// Evaluates the confs, the native ones all in one bash.
fn compare(world: &World, texts: &[String]) -> Tally {
    let dir = tempfile::tempdir().unwrap();
    let mut native = BTreeMap::new();
    for (number, text) in texts.iter().enumerate() {
        if let Some(values) = evaluate_natively(world, text) {
            fs_err::write(dir.path().join(number.to_string()), text).unwrap();
            native.insert(number, values);
        }
    }
    let numbers: Vec<usize> = native.keys().copied().collect();
    let expected = ask_bash(world, dir.path(), &numbers);
    let wrong = native.iter().find(|(number, values)| expected.get(number) != Some(values));
    Tally { native: numbers.len(), wrong: wrong.map(|(number, _)| texts[*number].clone()) }
}

/// The smallest text that is left of one when every piece is taken out without which it still `fails`: halves first,
/// then ever smaller pieces (delta debugging, Zeller and Hildebrandt 2002).
fn shrink(text: &str, mut fails: impl FnMut(&str) -> bool) -> String {
    let mut left: Vec<char> = text.chars().collect();
    let mut size = left.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < left.len() {
            let end = (at + size).min(left.len());
            let without: Vec<char> = left[..at].iter().chain(&left[end..]).copied().collect();
            if fails(&without.iter().collect::<String>()) {
                left = without;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    left.into_iter().collect()
}

/// Generates and compares; a counterexample is printed in its smallest form.
fn confront(seed: u64, count: usize) -> usize {
    let mut world = World::new();
    // Where no redirection of a generated conf can make a file.
    world.scope.environment.insert("HOME".to_owned(), "/nonexistent/home".to_owned());
    let mut generator = Generator::new(seed);
    let texts: Vec<String> = (0..count).map(|_| generator.conf()).collect();
    let tally = compare(&world, &texts);
    if let Some(text) = tally.wrong {
        let least = shrink(&text, |text| compare(&world, &[text.to_owned()]).wrong.is_some());
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("0"), &least).unwrap();
        let expected = ask_bash(&world, dir.path(), &[0]).remove(&0);
        let ours = evaluate_natively(&world, &least);
        panic!(
            "seed {seed}\n--- conf\n{text}\n--- the least of it\n{least}\n--- ours {ours:?}\n--- bash {expected:?}"
        );
    }
    tally.native
}

/// 20,000 confs; `DKMS_ORACLE_CONFS` asks for another number, `DKMS_ORACLE_SEED` for other ones.
#[test]
#[allow(clippy::disallowed_methods, clippy::print_stderr)]
fn native_values_are_those_of_bash() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let count = asked("DKMS_ORACLE_CONFS").and_then(|count| usize::try_from(count).ok()).unwrap_or(1_000);
    let seed = asked("DKMS_ORACLE_SEED").unwrap_or(0x9E37_79B9_7F4A_7C15);
    let half = |seed: u64| std::thread::spawn(move || confront(seed | 1, count.div_ceil(2)));
    let halves = [half(seed), half(seed.rotate_left(32) ^ 0x55)];
    let native: usize = halves.into_iter().map(|half| half.join().unwrap()).sum();
    // Past the capture of the test harness: the share is to be seen where all is well, too.
    let share = native * 100 / count;
    let line = format!(
        "oracle: {native} of {count} generated confs ({share} %) were evaluated natively, all as bash does; seed {seed}\n"
    );
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    assert!(share > 25, "the generator or the evaluator has become too narrow: {native} of {count}");
}

#[test]
fn oracle_reduces_a_wrong_value() {
    let text = "# a comment\nMAKE=\"a $arch\"\nCLEAN=x\nPATCH[2]='b'\n";
    let least = shrink(text, |text| text.contains('$') && text.contains("[2]"));
    assert_eq!(least, "$[2]");
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    fs_err::write(dir.path().join("7"), text).unwrap();
    let expected = ask_bash(&world, dir.path(), &[7]).remove(&7);
    assert_eq!(expected, evaluate_natively(&world, text));
    assert_ne!(expected, evaluate_natively(&world, &text.replace("$arch", "arch")));
}
