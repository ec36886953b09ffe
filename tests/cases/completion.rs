//! Completion in bash, on a fake tree.

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
#[case(&["dkms", "fsck", ""], &[])]
#[case(&["dkms", "fsck", "--rep"], &["--repair"])]
#[case(&["dkms", "fsck", "--full"], &[])]
#[case(&["dkms", "help", "un"], &["unbuild", "uninstall"])]
#[case(&["dkms", "build", "-m", "foo-bar", "-v", ""], &["2.0"])]
#[case(&["dkms", "--no-d"], &["--no-depmod"])]
#[case(&["dkms", "remove", ""], &["m/1.0"])]
#[case(&["dkms", "install", "foo"], &["foo-bar/2.0"])]
#[case(&["dkms", "build", "-m", ""], &["foo-bar", "m"])]
#[case(&["dkms", "install", "m/1.0", "-k", ""], &[K, "6.9.0-1-amd64"])]
#[case(&["dkms", "status", "--format", "j"], &["json"])]
#[case(&["dkms", "status", "--format", ""], &["json", "legacy", "text"])]
#[case(&["dkms", "check", "--format", ""], &["json", "text"])]
#[case(&["dkms", "check", ""], &["m/1.0"])]
#[case(&["dkms", "rollback", ""], &["m"])]
#[case(&["dkms", "install", "foo-bar", "-v", ""], &["2.0"])]
#[case(&["dkms", "install", "-k", "x", "foo-bar", "-v", ""], &["2.0"])]
#[case(&["dkms", "autoinstall", ""], &[])]
fn packages_versions_kernels_and_options_are_completed(#[case] words: &[&str], #[case] expected: &[&str]) {
    assert_eq!(completed(words), expected);
}
