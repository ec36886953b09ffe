//! The files of `tests/constructs`: one for each construct that real confs hold.
//!
//! Lines that begin with `#= ` say who evaluates the file and what comes out; a line with `#! ` says why bash alone comes
//! to something else.

use super::{World, oracle};
use crate::conf::Values;
use rstest::rstest;
use std::path::Path;

fn expectation(text: &str) -> (String, Values) {
    let mut lines =
        text.lines().filter_map(|line| line.strip_prefix("#= ")).map(|line| line.trim_end_matches('\r'));
    let evaluator = lines.next().unwrap().to_owned();
    let mut values = Values::new();
    for line in lines {
        let (name, value) = line.split_once('=').unwrap();
        let (name, index) = name.strip_suffix(']').unwrap().split_once('[').unwrap();
        values.set(name, index.parse().unwrap(), value);
    }
    (evaluator, values)
}

/// The conf as `dkms.conf` beside the files that confs need, some of them programs.
fn placed(world: &World, conf: &Path) -> std::path::PathBuf {
    let dir = world.dir.path().join("place");
    fs_err::create_dir(&dir).unwrap();
    for entry in fs_err::read_dir(conf.with_file_name("files")).unwrap().flatten() {
        fs_err::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    fs_err::copy(conf, dir.join("dkms.conf")).unwrap();
    dir
}

#[rstest]
fn each_construct_has_the_value_of_bash(#[files("tests/constructs/*.conf")] conf: std::path::PathBuf) {
    let mut world = World::new();
    let dir = placed(&world, &conf);
    let path = world.scope.environment["PATH"].clone();
    world.scope.environment.insert("PATH".to_owned(), format!("{}:{path}", dir.display()));
    let text = fs_err::read_to_string(&conf).unwrap();
    let (evaluator, expected) = expectation(&text);
    let evaluation = world.evaluate_at(&dir.join("dkms.conf"), text.as_bytes());
    assert_eq!(evaluation.values, expected, "{evaluation:?}");
    assert_eq!(evaluation.evaluator.to_string(), evaluator);
    world
        .scope
        .environment
        .insert("PATH".to_owned(), format!("{}:{path}", dir.with_file_name("0").display()));
    let bash = oracle::read_by_bash(&world, &dir);
    if text.contains("\n#! ") {
        assert_ne!(bash, expected, "bash alone comes to the same: the remark is outdated");
    } else {
        assert_eq!(bash, expected);
    }
}
