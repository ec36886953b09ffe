//! The native evaluator beside bash, on generated confs.
//!
//! The oracle is the model of the original in its own language: source the file, print every value with an unquoted
//! `echo`, source what was printed.

use super::super::reread;
use super::super::{read_natively, visible};
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
for number in @NUMBERS@; do
    : >printed
    (first ./$number) 3>printed
    printf '%s\0' conf $number ''
    (PATH=/nonexistent; set -f; second) 3>&1
done
"#;

/// The directives that the generator uses, in the order of the second reading.
const WHITELIST: &[&str] = &["PACKAGE_NAME", "MAKE", "PATCH", "CLEAN"];

type Results = BTreeMap<usize, Values>;

fn ask_bash(world: &World, dir: &Path, numbers: &[usize]) -> Results {
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let variables: String =
        world.scope.variables.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
    let script =
        variables + &ORACLE.replace("@NAMES@", &WHITELIST.join(" ")).replace("@NUMBERS@", &list.join(" "));
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

/// Both readings, or nothing if either needs bash.
fn evaluate_natively(world: &World, text: &str) -> Option<Values> {
    let mut shell = visible(WHITELIST, &world.scope);
    let first = read_natively(text.as_bytes(), WHITELIST, &shell).ok()?;
    reread::run(&reread::plan(&first.printed), &mut shell).ok()?;
    Some(shell.variables.iter().filter(|(name, ..)| WHITELIST.contains(name)).collect())
}

fn compare(seed: u64, count: usize) -> usize {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let mut generator = Generator::new(seed);
    let mut native = BTreeMap::new();
    for number in 0..count {
        let text = generator.conf();
        if let Some(values) = evaluate_natively(&world, &text) {
            fs_err::write(dir.path().join(number.to_string()), &text).unwrap();
            native.insert(number, (text, values));
        }
    }
    let numbers: Vec<usize> = native.keys().copied().collect();
    let expected = ask_bash(&world, dir.path(), &numbers);
    let wrong: Vec<String> = native
        .iter()
        .filter(|(number, (_, values))| expected.get(number) != Some(values))
        .map(|(number, (text, values))| {
            format!("--- conf\n{text}\n--- ours {values:?}\n--- bash {:?}\n", expected.get(number))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} wrong, seed {seed}:\n{}",
        wrong.len(),
        numbers.len(),
        wrong[..wrong.len().min(8)].concat()
    );
    numbers.len()
}

/// `DKMS_ORACLE_CONFS` asks for more than the default.
#[test]
fn native_values_are_those_of_bash() {
    #[allow(clippy::disallowed_methods)]
    let asked = std::env::var("DKMS_ORACLE_CONFS").ok().and_then(|count| count.parse().ok());
    let count: usize = asked.unwrap_or(2000);
    let threads: Vec<_> = [0x9E37_79B9_7F4A_7C15, 0xD1B5_4A32_D192_ED03]
        .map(|seed| std::thread::spawn(move || compare(seed, count / 2)))
        .into_iter()
        .collect();
    let native: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    println!("{native} of {count} generated confs were evaluated natively");
    assert!(native > count / 4, "the generator or the evaluator has become too narrow: {native} of {count}");
}
