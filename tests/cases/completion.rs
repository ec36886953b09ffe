//! Completion in bash, on a fake tree; and what the manual page says about options, held against the program.

use crate::world::{K, World};
use rstest::rstest;

const COMPLETION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/completions/dkms.bash");

fn completed(words: &[&str]) -> Vec<String> {
    let world = World::new();
    world.kernel("6.9.0-1-amd64");
    for (name, version) in [("m", "1.0"), ("foo-bar", "2.0")] {
        world.package(name, version);
    }
    world.ok(&["add", "m/1.0"]);
    let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let root = world.root().display().to_string();
    let script = format!(
        "export DKMS_COMPLETION_TREE={root}/var/lib/dkms DKMS_COMPLETION_SOURCES={root}/usr/src \
         DKMS_COMPLETION_KERNELS={root}/lib/modules\n. {COMPLETION}\nCOMP_WORDS=({line}); COMP_CWORD={}; _dkms; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.len() - 1
    );
    std::fs::write(world.scratch("complete"), script).unwrap();
    let ended = world.shell("bash --norc complete");
    ended.exits(0);
    ended.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[rstest]
#[case(&["dkms", "un"], &["unbuild", "uninstall"])]
#[case(&["dkms", "--no-d"], &["--no-depmod"])]
#[case(&["dkms", "remove", ""], &["m/1.0"])]
#[case(&["dkms", "install", "foo"], &["foo-bar/2.0"])]
#[case(&["dkms", "build", "-m", ""], &["foo-bar", "m"])]
#[case(&["dkms", "install", "m/1.0", "-k", ""], &[K, "6.9.0-1-amd64"])]
#[case(&["dkms", "status", "--format", "j"], &["json"])]
fn packages_versions_kernels_and_options_are_completed(#[case] words: &[&str], #[case] expected: &[&str]) {
    assert_eq!(completed(words), expected);
}

#[test]
fn the_manual_page_and_the_completions_know_every_option_and_action() {
    let usage = World::new().ok(&["--help"]).stdout;
    let manual = include_str!("../../packaging/man/dkms.8").replace("\\-", "-");
    let completions = [
        include_str!("../../packaging/completions/dkms.bash"),
        include_str!("../../packaging/completions/_dkms"),
    ];
    let words = usage.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    let options = words.filter(|word| word.starts_with("--") && word.len() > 2 && *word != "--debug");
    for option in options {
        assert!(manual.contains(option), "{option} is not in dkms(8)");
        assert!(completions[0].contains(option), "{option} is not completed in bash");
    }
    let actions = usage.split("Actions:").nth(1).unwrap().split("Options:").next().unwrap();
    for action in actions.split_whitespace() {
        assert!(manual.contains(action), "{action} is not in dkms(8)");
        assert!(completions.iter().all(|text| text.contains(action)), "{action} is not completed");
    }
}
