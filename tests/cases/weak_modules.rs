//! weak-modules: who is called, with what, and when.

use crate::world::{A, K, World, script};
use rstest::rstest;
use std::fs;

const RHEL: (&str, &str, &str) = ("ID=rhel\n", "/usr/sbin/weak-modules", "extra");
const SUSE: (&str, &str, &str) = ("ID=sles\n", "/usr/lib/module-init-tools/weak-modules2", "updates");

/// A distribution whose tool notes its arguments, its input, and whether the files are there.
fn world(distribution: (&str, &str, &str)) -> World {
    let (os_release, tool, _) = distribution;
    let world = World::new();
    world.write("/etc/os-release", os_release);
    with_tool(&world, tool, "");
    world
}

fn with_tool(world: &World, tool: &str, more: &str) {
    let log = world.scratch("weak");
    let log = log.display();
    let body = format!(
        "echo \"$*\" >> {log}\nwhile read -r f; do test -f \"$f\" && echo \"$f\" >> {log}; done\n{more}"
    );
    script(&world.path(tool), &body);
}

fn notes(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.scratch("weak")).unwrap_or_default();
    text.lines().map(|line| line.replace(&world.root().display().to_string(), "")).collect()
}

fn two(world: &World) {
    world.package("m", "1.0").module("n").conf("BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/extra");
}

#[rstest]
#[case(RHEL, "--no-initramfs --add-modules".into(), "--no-initramfs --remove-modules".into())]
#[case(SUSE, format!("--add-kernel-modules {K}"), format!("--remove-kernel-modules {K}"))]
fn the_tool_hears_of_modules_that_came_and_of_modules_that_go(
    #[case] distribution: (&str, &str, &str),
    #[case] add: String,
    #[case] remove: String,
) {
    let world = world(distribution);
    two(&world);
    world.ok(&["install", "m/1.0", "-a", &A]);
    let place = format!("/lib/modules/{K}/{}", distribution.2);
    let files = [format!("{place}/m.ko"), format!("{place}/n.ko")];
    let mut expected = vec![add];
    expected.extend(files.clone());
    assert_eq!(notes(&world), expected);
    world.ok(&["uninstall", "m/1.0", "-a", &A]);
    expected.push(remove);
    expected.extend(files);
    assert_eq!(notes(&world), expected);
}

#[test]
fn a_module_that_the_next_version_lacks_goes_too() {
    let world = world(RHEL);
    two(&world);
    world.package("m", "2.0");
    world.ok(&["install", "m/1.0", "-a", &A]);
    fs::remove_file(world.scratch("weak")).unwrap();
    world.ok(&["install", "m/2.0", "-a", &A]);
    let place = format!("/lib/modules/{K}/extra");
    let removed = ["--no-initramfs --remove-modules".to_owned(), format!("{place}/n.ko")];
    let added = ["--no-initramfs --add-modules".to_owned(), format!("{place}/m.ko")];
    assert_eq!(notes(&world), [removed, added].concat());
}

#[rstest]
#[case::package("package")]
#[case::environment("environment")]
#[case::other_distribution("distribution")]
fn nobody_is_told_where_that_is_forbidden_or_unknown(#[case] how: &str) {
    let mut world = world(RHEL);
    two(&world);
    match how {
        "package" => {
            let conf = world.read("/usr/src/m-1.0/dkms.conf");
            world.write("/usr/src/m-1.0/dkms.conf", format!("{conf}NO_WEAK_MODULES=yes\n"));
        }
        "environment" => drop(world.set("NO_WEAK_MODULES", "1")),
        _ => drop(world.write("/etc/os-release", "ID=debian\n")),
    }
    world.ok(&["install", "m/1.0", "-a", &A]);
    // What was recorded counts, also when the conf is gone.
    fs::remove_file(world.path("/usr/src/m-1.0/dkms.conf")).unwrap();
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(notes(&world), [""; 0]);
}

#[test]
fn a_package_that_others_built_is_asked_through_its_conf() {
    let world = world(RHEL);
    world.package("m", "1.0").conf("NO_WEAK_MODULES=yes");
    world.ok(&["install", "m/1.0", "-a", &A]);
    let out = format!("/var/lib/dkms/m/1.0/{K}/{}", *A);
    for record in [".dkms-build.json", ".dkms-install.json"] {
        fs::remove_file(world.path(format!("{out}/{record}"))).unwrap();
    }
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(notes(&world), [""; 0]);
}

#[test]
fn a_failing_tool_is_told_and_a_missing_one_is_not() {
    let world = world(RHEL);
    world.package("m", "1.0");
    with_tool(&world, RHEL.1, "echo no symbols >&2; exit 3");
    world.ok(&["install", "m/1.0", "-a", &A]).complains("Warning: ").complains("exit status 3: no symbols");
    fs::remove_file(world.path(RHEL.1)).unwrap();
    world.ok(&["uninstall", "m/1.0", "-a", &A]).is_silent_about("weak");
}
