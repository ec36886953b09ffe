//! dkms.conf with its overrides, and framework.conf.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

fn made(world: &World) -> String {
    world.calls("make").pop().unwrap_or_default()
}

#[test]
fn overrides_are_read_in_their_order() {
    let world = World::new();
    world.package("m", "1.0").conf("MAKE=\"'make' package\"");
    let a = &*A;
    let files = [
        "m.conf".to_owned(),
        "m-1.0.conf".into(),
        format!("m-1.0-{K}.conf"),
        format!("m-1.0-{K}-{a}.conf"),
        format!("m--{K}.conf"),
        format!("m--{K}-{a}.conf"),
    ];
    world.ok(&["build", "m/1.0"]);
    assert_eq!(made(&world), "package");
    for file in &files {
        world.write(&format!("/etc/dkms/{file}"), format!("MAKE=\"${{MAKE[0]}} {file}\"\n"));
        world.ok(&["build", "--force", "m/1.0"]);
        assert!(made(&world).ends_with(&format!(" {file}")), "{}", made(&world));
    }
    assert_eq!(made(&world), format!("package {}", files.join(" ")));
    world.ok(&["build", "--force", "m/1.0", "--directive=MAKE='make' a=b last"]);
    assert_eq!(made(&world), "a=b last");
}

#[test]
fn overrides_of_others_are_not_read() {
    let world = World::new();
    world.package("m", "1.0");
    for file in ["mm.conf", "m-2.0.conf", "m-1.0-6.2.conf", "m--6.2.conf", "m-1.0.conf.bak"] {
        world.write(&format!("/etc/dkms/{file}"), "MAKE=false\n");
    }
    world.ok(&["build", "m/1.0"]);
}

#[test]
fn override_may_set_a_single_element() {
    let world = World::new();
    world.package("m", "1.0").conf("MAKE[0]=false\nMAKE[1]='make one'\nMAKE_MATCH[1]=.");
    world.write("/etc/dkms/m.conf", "MAKE=\n");
    world.ok(&["build", "m/1.0"]);
    assert!(made(&world).ends_with(" one"));
    world.write("/etc/dkms/m.conf", "MAKE[1]='make override'\n");
    world.ok(&["build", "--force", "m/1.0"]);
    assert!(made(&world).ends_with(" override"));
}

#[test]
fn a_conf_sees_what_it_is_for() {
    let world = World::new();
    world.package("m", "1.0").conf(
        "MAKE=\"'make' $kernelver $arch $module $module_version $kernel_source_dir $dkms_tree $source_tree\"",
    );
    world.ok(&["build", "m/1.0"]);
    let root = world.root().display().to_string();
    let expected =
        format!("{K} {} m 1.0 {root}/lib/modules/{K}/build {root}/var/lib/dkms {root}/usr/src", *A);
    assert_eq!(made(&world), expected);
}

#[test]
fn a_conf_that_needs_a_shell_gets_one() {
    let world = World::new();
    world.package("m", "1.0").file("version.sh", "echo 1.0\n").conf(
        "pushd $(dirname $BASH_SOURCE) >/dev/null; v=$(sh ./version.sh); popd\n\
         if [ \"$kernelver\" = x ]; then MAKE=false; else MAKE=\"'make' v$v\"; fi\necho noise",
    );
    world.ok(&["build", "m/1.0"]).is_silent_about("noise");
    assert_eq!(made(&world), "v1.0");
}

#[test]
fn a_conf_may_ask_dkms() {
    let world = World::new();
    world.package("dep", "3.0");
    world.package("m", "1.0").conf(
        "if dkms status -m dep | grep -q installed; then BUILD_DEPENDS=dep; MAKE=\"'make' with-dep\"; fi",
    );
    world.ok(&["install", "dep/3.0"]);
    world.ok(&["install", "m/1.0"]);
    assert_eq!(made(&world), "with-dep");
}

#[rstest]
#[case("PACKAGE_NAME=", "PACKAGE_NAME")]
#[case("PACKAGE_VERSION=", "PACKAGE_VERSION")]
#[case("BUILT_MODULE_NAME[0]=m.ko", "BUILT_MODULE_NAME")]
#[case("BUILT_MODULE_NAME[0]=m.o", "BUILT_MODULE_NAME")]
#[case("DEST_MODULE_NAME[0]=m.ko", "DEST_MODULE_NAME")]
#[case("DEST_MODULE_LOCATION[0]=", "DEST_MODULE_LOCATION")]
#[case("DEST_MODULE_LOCATION[0]=/elsewhere", "DEST_MODULE_LOCATION")]
#[case("DEST_MODULE_LOCATION[0]=kernel", "DEST_MODULE_LOCATION")]
#[case("BUILT_MODULE_NAME[2]=x\nDEST_MODULE_LOCATION[2]=/extra", "#1")]
#[case("BUILT_MODULE_NAME[1]=m\nDEST_MODULE_LOCATION[1]=/extra", "'m.ko'")]
#[case("DEST_MODULE_LOCATION[0]=/kernel/../../x", "DEST_MODULE_LOCATION")]
#[case("BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/extra\nDEST_MODULE_NAME[1]=m", "DEST_MODULE_NAME")]
#[case("AUTOINSTALL=y", "AUTOINSTALL")]
#[case("AUTOINSTALL=' yes'", "AUTOINSTALL")]
#[case("NO_WEAK_MODULES=1", "NO_WEAK_MODULES")]
#[case("BUILD_DEPENDS_REBUILD=true", "BUILD_DEPENDS_REBUILD")]
#[case("exit 0", "PACKAGE_NAME")]
fn invalid_conf_is_8_and_names_the_directive(#[case] conf: &str, #[case] named: &str) {
    let world = World::new();
    world.package("m", "1.0").conf(conf);
    let before = world.everything();
    for action in ["add", "build", "install"] {
        world.dkms(&[action, "m/1.0"]).exits(8).complains("dkms.conf: Error! ").complains(named);
    }
    assert_eq!(world.everything(), before);
}

#[test]
fn every_problem_of_conf_is_reported_at_once() {
    let world = World::new();
    world.package("m", "1.0").whole_conf("BUILT_MODULE_NAME=m.ko\nAUTOINSTALL=maybe\n");
    let ended = world.dkms(&["add", "m/1.0"]);
    for named in
        ["PACKAGE_NAME", "PACKAGE_VERSION", "BUILT_MODULE_NAME", "DEST_MODULE_LOCATION", "AUTOINSTALL"]
    {
        ended.complains(named);
    }
}

#[rstest]
#[case("AUTOINSTALL=YES")]
#[case("DEST_MODULE_LOCATION[0]=/kernelfoo")]
#[case("DEST_MODULE_LOCATION[0]=/kernel/../updates/")]
#[case("CLEAN='make clean'\nREMAKE_INITRD=yes\nMODULES_CONF[0]=x")]
#[case("return 0\nAUTOINSTALL=maybe")]
#[case("syntax ( error")]
#[case("false")]
#[case("set -u")]
#[case("BUILT_MODULE_NAME=()\nBUILT_MODULE_NAME[0]=m")]
#[case("\r\n# a comment\r\nSTRIP=no\r")]
fn an_odd_conf_is_still_a_conf(#[case] conf: &str) {
    let world = World::new();
    world.package("m", "1.0").conf(conf);
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn deprecated_directives_are_reported_once() {
    let world = World::new();
    world.package("m", "1.0").conf("REMAKE_INITRD=yes");
    world.write("/etc/dkms/m.conf", "STRIP=no\n").write("/etc/dkms/m-1.0.conf", "STRIP=no\n");
    let ended = world.ok(&["add", "m/1.0"]);
    assert_eq!(ended.stderr.matches("REMAKE_INITRD").count(), 1, "{}", ended.stderr);
}

#[test]
fn values_are_read_twice() {
    let world = World::new();
    world.package("m", "1.0").conf("MAKE='make' \nMAKE[0]=\"'make' \\$module   folded  \\$(echo x)\"");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(made(&world), "m folded x");
}

#[test]
fn the_callers_environment_is_no_conf() {
    let mut world = World::new();
    world.package("m", "1.0");
    for name in ["MAKE", "PRE_BUILD", "PATCH", "BUILT_MODULE_NAME", "dkms_tree", "source_tree"] {
        world.set(name, "false");
    }
    world.ok(&["build", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "built")]);
}

#[test]
fn directives_of_the_environment_hold_for_every_file() {
    let mut world = World::new();
    world.package("m", "1.0");
    world.set("DKMS_DIRECTIVE_X", "STRIP=no");
    world.ok(&["build", "m/1.0"]);
    assert!(world.calls("strip").is_empty());
}

#[test]
fn framework_files_are_read_in_order() {
    let world = World::new();
    world.package("m", "1.0");
    world.write("/etc/dkms/framework.conf", "parallel_jobs=2\n");
    world.write("/etc/dkms/framework.conf.d/b.conf", "parallel_jobs=4\n");
    world.write("/etc/dkms/framework.conf.d/a.conf", "parallel_jobs=3\n");
    world.write("/etc/dkms/framework.conf.d/z.conf.bak", "parallel_jobs=9\n");
    world.write("/etc/dkms/framework.conf.d/.z.conf", "parallel_jobs=9\n");
    world.ok(&["build", "m/1.0"]);
    assert!(made(&world).starts_with("-j4 "), "{}", made(&world));
}

#[test]
fn framework_conf_moves_the_trees() {
    let world = World::new();
    world.write("/etc/dkms/framework.conf", "dkms_tree=/srv/tree\nsource_tree=/srv/src\n");
    world.package_in(&world.path("/srv/src/m-1.0"), "m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert!(world.has("/srv/tree/m/1.0/source"));
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.hook("kernel-prerm", &[K]).exits(0);
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[rstest]
#[case("syntax ( error\n")]
#[case("exit 3\n")]
#[case("parallel_jobs=many\non_failure=perhaps\n")]
#[case("\u{0}\u{1}\u{2}")]
fn bad_framework_conf_keeps_no_module_from_kernel(#[case] text: &str) {
    let world = World::new();
    world.write("/etc/dkms/framework.conf", text);
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn a_build_environment_reaches_make() {
    let world = World::new();
    world.write("/etc/dkms/framework.conf", "build_environment=/etc/dkms/env.sh\n");
    world.write("/etc/dkms/env.sh", "export EXPORTED=\"for $kernelver\"\nPRIVATE=x\n");
    world.package("m", "1.0").recipe("echo \"$EXPORTED|$PRIVATE\" > \"$DKMS_SCRATCH/env\"");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(fs::read_to_string(world.scratch("env")).unwrap(), format!("for {K}|\n"));
}

#[rstest]
#[case::substitution("X=${kernel source dir}")]
#[case::division("X=$((1/0))")]
#[case::index("STRIP[]=no")]
#[case::readonly("readonly X=1; X=2")]
fn error_that_ends_the_reading_is_named(#[case] line: &str) {
    let world = World::new();
    world.package("m", "1.0").conf(line);
    let refused = world.dkms(&["add", "m/1.0"]);
    refused.exits(8).complains("dkms.conf: line ");
    assert!(!world.has("/var/lib/dkms/m"));
    // The same in an override, for a package that was added before.
    let world = World::new();
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.write("/etc/dkms/m.conf", format!("MAKE=false\n{line}\n"));
    world.ok(&["build", "m/1.0"]);
}

#[test]
fn syntax_error_is_named_with_its_line() {
    let world = World::new();
    let package = world.package("m", "1.0");
    package.whole_conf("PACKAGE_NAME=m\nif true; then\n");
    world
        .dkms(&["add", "m/1.0"])
        .exits(8)
        .complains("dkms.conf: line 3: syntax error: unexpected end of file");
    let shown = world.dkms(&["conf", "m/1.0"]);
    shown.exits(8).complains("line 3: syntax error");
    assert_eq!(shown.stderr.matches("syntax error").count(), 1, "{}", shown.stderr);
}

#[test]
fn conf_evaluates_a_directory_once() {
    let world = World::new();
    let count = world.scratch("count");
    let source = world.path("/usr/src/m-1.0");
    let source = source.to_str().unwrap();
    let conf = format!("echo x >>{}\nCLEAN='echo \"a; b\"'", count.display());
    let package = world.package("m", "1.0");
    package.conf(&conf);
    let shown = world.dkms(&["conf", source]);
    shown.complains("the value of CLEAN ends where it falls out of its quotes");
    assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
    // Its name decides what else is read.
    world.write("/etc/dkms/m.conf", "MAKE='make overridden'\n");
    assert!(world.dkms(&["conf", source]).stdout.contains("make overridden"));
}

#[test]
fn four_lines_are_enough_for_a_conf() {
    const CONF: &str = "PACKAGE_NAME=m\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=m\nAUTOINSTALL=yes\n";
    let world = World::new();
    world.package("m", "1.0").whole_conf(CONF);
    world.ok(&["install", "m/1.0"]).complains("DEST_MODULE_LOCATION is not set");
    assert!(world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
    let other = World::new();
    other.write("/etc/os-release", "ID=gentoo\n");
    other.package("m", "1.0").whole_conf(CONF);
    other.dkms(&["install", "m/1.0"]).exits(8).complains("DEST_MODULE_LOCATION");
}
