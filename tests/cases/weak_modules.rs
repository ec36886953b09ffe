//! weak-modules: who is called, with what, and when.

use crate::world::{A, K, World, line, script};
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
fn tool_hears_of_added_and_removed_modules(
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
fn module_that_the_next_version_lacks_goes_too() {
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
fn tool_does_not_run_where_forbidden_or_unknown(#[case] how: &str) {
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
fn build_of_another_dkms_is_read_by_conf() {
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
fn failing_tool_is_reported_missing_one_is_not() {
    let world = world(RHEL);
    world.package("m", "1.0");
    with_tool(&world, RHEL.1, "echo no symbols >&2; exit 3");
    world.ok(&["install", "m/1.0", "-a", &A]).complains("Warning: ").complains("exit status 3: no symbols");
    fs::remove_file(world.path(RHEL.1)).unwrap();
    world.ok(&["uninstall", "m/1.0", "-a", &A]).is_silent_about("weak");
}

/// A second kernel that borrows the module of the first.
const BORROWER: &str = "6.2.0-1-amd64";

fn lent(distribution: (&str, &str, &str)) -> World {
    let world = world(distribution);
    world.kernel(BORROWER).headers();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0", "-a", &A]);
    let module = world.path(format!("/lib/modules/{K}/{}/m.ko", distribution.2));
    let dir = world.path(format!("/lib/modules/{BORROWER}/weak-updates"));
    fs::create_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink(module, dir.join("m.ko")).unwrap();
    world
}

fn weak() -> String {
    format!("m, 1.0, {BORROWER}, {}: installed-weak from {K}", *A)
}

#[rstest]
#[case(RHEL)]
#[case(SUSE)]
#[case(("ID=centos\n", RHEL.1, "extra"))]
fn borrowing_kernel_has_its_own_line(#[case] distribution: (&str, &str, &str)) {
    let world = lent(distribution);
    let installed = line("m/1.0", K, "installed");
    assert_eq!(world.status(), [installed.clone(), weak()]);
    world.ok(&["status", "m", "-k", BORROWER]).prints(&[&weak()]);
    world.ok(&["status", "m", "-k", K]).prints(&[&installed]);
    world.ok(&["status", "m", "-k", "9.9"]).prints(&["m/1.0: added"]);
    let legacy = format!("m, 1.0, {K}, {}: installed", *A);
    world.ok(&["status", "--format", "legacy"]).prints(&[&legacy, &weak()]);
    let json = world.ok(&["status", "--format=json"]);
    json.says("\"state\": \"installed-weak\"").says(&format!("\"from\": \"{K}\""));
}

#[test]
fn where_kernels_lend_nothing_links_mean_nothing() {
    let world = lent(RHEL);
    world.write("/etc/os-release", "ID=debian\n");
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn autoinstall_is_content_with_borrowed_modules() {
    let world = lent(RHEL);
    world.ok(&["autoinstall", "-k", BORROWER, "-a", &A]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), weak()]);
    fs::remove_dir_all(world.path(format!("/lib/modules/{BORROWER}/weak-updates"))).unwrap();
    world.ok(&["autoinstall", "-k", BORROWER, "-a", &A]);
    assert_eq!(world.status(), [line("m/1.0", K, "installed"), line("m/1.0", BORROWER, "installed")]);
}
