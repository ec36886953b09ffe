//! The values that the original DKMS ends with, for each file of `tests/conf-cases`.

use super::World;
use rstest::rstest;
use serde_json::{Value, json};

/// Where ours differ on purpose, with the reason.
fn corrected(case: &str, mut directives: Value) -> Value {
    match case {
        // Line ends are normalised before the first reading, so no CR is left in the middle of a value.
        "08_crlf_mid" => directives["MAKE"]["0"] = json!("make V=1 x"),
        // Wildcards are never expanded. The original expanded this one against its working directory; the file of
        // expected values was taken where nothing matched.
        "05_glob" => directives["CLEAN"]["0"] = json!("rm -f *"),
        // The value is cut at the `;` there as well; what follows is not run.
        "09_semicolon_in_inner_quotes" => directives["MAKE"]["0"] = json!("echo a"),
        _ => {}
    }
    directives
}

#[rstest]
fn each_case_has_its_expected_values(#[files("tests/conf-cases/*.conf")] path: std::path::PathBuf) {
    let case = path.file_stem().unwrap().to_str().unwrap();
    let expected: Value =
        serde_json::from_slice(&fs_err::read(path.with_extension("json")).unwrap()).unwrap();
    let mut world = World::new();
    for name in ["module", "module_version", "kernelver", "arch"] {
        let value = expected["env"][name].as_str().unwrap().to_owned();
        world.scope.variables.insert(name.to_owned(), value);
    }
    let evaluation = world.evaluate_at(&path, &fs_err::read(&path).unwrap());
    let directives = serde_json::to_value(&evaluation.values).unwrap();
    assert_eq!(directives, corrected(case, expected["directives"].clone()), "{evaluation:?}");
}

#[test]
fn text_outside_its_quotes_is_never_run() {
    let world = World::new();
    let file = world.dir.path().join("ran");
    let text = format!("MAKE=\"echo \\\"a; touch {0}; b\\\" \\\" > {0}\"\n", file.display());
    let evaluation = world.evaluate(text + "CLEAN='$(echo \"\")'\n");
    assert!(!file.exists(), "{evaluation:?}");
}
