//! What apt hears before it unpacks a kernel, and what the timer leaves.

use crate::preflight::{NEXT, arrive, machine, package};
use crate::world::{Ended, World, line};
use rstest::rstest;
use std::fs;
use std::path::Path;

const MOTD: &str = "/run/motd.d/dkms-preflight";
/// A recipe that builds for the running kernel alone.
const FAILS: &str = "[ $kernelver != 6.1.0-2-amd64 ] || { echo 'm.c:3:1: error: no such thing'; exit 2; }";

/// A machine with a package whose build for the next kernel goes as the recipe says.
fn prepared(recipe: &str, policy: &str) -> Option<World> {
    let world = machine()?;
    fs::create_dir_all(world.path("/run")).unwrap();
    world.write("/etc/dkms/framework.conf", format!("preflight={policy}\n"));
    world.package("m", "1.0").recipe(recipe);
    world.ok(&["install", "m/1.0"]);
    Some(world)
}

/// apt, about to unpack the kernel NEXT with these packages.
fn apt(world: &World, packages: &[(&str, &str)], variable: &str) -> Ended {
    let mut text = "VERSION 3\nAPT::Architecture=amd64\n\n".to_owned();
    for (name, file) in packages {
        text.push_str(&format!("{name} - - none < 2 amd64 none {file}\n"));
    }
    text.push_str("linux-image-amd64 1 amd64 none < 2 amd64 none /var/cache/meta.deb\n");
    fs::write(world.scratch("transaction"), text).unwrap();
    world.shell(&format!("{variable} $preflight_apt <transaction"))
}

/// The same with the headers of NEXT.
fn upgrade(world: &World, variable: &str) -> Ended {
    let file = package(world, NEXT, ".deb");
    apt(
        world,
        &[(&format!("linux-headers-{NEXT}"), &file), (&format!("linux-image-{NEXT}"), "/i.deb")],
        variable,
    )
}

#[test]
fn reporting_builds_nothing_and_says_what_is_known() {
    let Some(world) = prepared(FAILS, "report") else { return };
    world.package("old", "1.0").conf("BUILD_EXCLUSIVE_KERNEL=\"^6\\.1\\.0-1-\"");
    let made = world.calls("make").len();
    let ended = upgrade(&world, "");
    ended.exits(0).is_silent_about("would lack");
    world.ok(&["install", "old/1.0"]);
    let ended = upgrade(&world, "");
    ended.exits(0).complains(&format!("dkms: kernel {NEXT} would lack drivers:"));
    ended.complains("dkms:   old/1.0 does not want this kernel: BUILD_EXCLUSIVE_KERNEL[0]=");
    ended.is_silent_about("m/1.0");
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    assert_eq!(world.calls("make").len(), made + 1);
    // What preflight found out is known, as long as the source is the same.
    let file = package(&world, NEXT, ".deb");
    world.dkms(&["preflight", &file]).exits(1);
    let ended = upgrade(&world, "");
    ended.exits(0).complains("dkms:   m/1.0 did not build on ").complains("m.c:3:1: error: no such thing");
    let log =
        ended.stderr.lines().find_map(|line| line.trim_start_matches("dkms:").trim().strip_prefix("log: "));
    assert!(Path::new(log.unwrap()).is_file(), "{}", ended.stderr);
    assert!(world.read(MOTD).contains(&format!("the next kernel {NEXT} would lack m/1.0, old/1.0")));
    world.package("m", "1.0").file("m.c", "newer");
    upgrade(&world, "").exits(0).is_silent_about("m/1.0");
}

#[test]
fn building_spares_header_hook_the_compiler() {
    let Some(world) = prepared("true", "build") else { return };
    let made = world.calls("make").len();
    upgrade(&world, "").exits(0).is_silent_about("would lack");
    assert_eq!(world.calls("make").len(), made + 1);
    arrive(&world, NEXT);
    world.hook("header-postinst", &[NEXT]).exits(0);
    assert_eq!(world.calls("make").len(), made + 1);
    assert!(world.status().contains(&line("m/1.0", NEXT, "installed")));
}

#[test]
fn building_goes_on_where_a_driver_fails() {
    let Some(world) = prepared(FAILS, "build") else { return };
    upgrade(&world, "").exits(0).complains("m/1.0 does not build: m.c:3:1: error: no such thing");
    assert!(world.has(MOTD));
    // The notice goes with its cause.
    world.package("m", "1.0").recipe("true");
    upgrade(&world, "").exits(0);
    assert!(!world.has(MOTD));
}

#[test]
fn requiring_stops_apt_unless_overridden() {
    let Some(world) = prepared(FAILS, "require") else { return };
    let ended = upgrade(&world, "");
    ended.exits(10).complains(&format!("Nothing is installed, because kernel {NEXT} would not have m/1.0"));
    ended.complains(
        "apt-mark hold linux-image-amd64; or install it all the same, once: DKMS_PREFLIGHT=report",
    );
    assert!(
        world.read(MOTD).contains(&format!("kernel {NEXT} was not installed, because it would lack m/1.0"))
    );
    upgrade(&world, "DKMS_PREFLIGHT=report").exits(0).complains("would lack");
    upgrade(&world, "DKMS_PREFLIGHT=off").exits(0).is_silent_about("would lack");
    upgrade(&world, "DKMS_PREFLIGHT=nonsense").exits(10).complains("none of off, report, build and require");
    world.write("/etc/dkms/no-autoinstall", "");
    upgrade(&world, "").exits(0);
}

#[rstest]
#[case::of_package("required=\"yes\"\n", 10)]
#[case::not("required=\"no\"\n", 0)]
#[case::unmentioned("", 0)]
fn required_package_stops_apt_without_running(#[case] conf: &str, #[case] status: i32) {
    let Some(world) = prepared("true", "require") else { return };
    world.package("n", "1.0").recipe("exit 2");
    world.ok(&["add", "n/1.0"]);
    world.write("/etc/dkms/n.conf", conf);
    upgrade(&world, "").exits(status);
    let notice = if status == 0 { "" } else { "was not installed, because it would lack n/1.0" };
    assert!(world.has(MOTD) == (status != 0) && (status == 0 || world.read(MOTD).contains(notice)));
}

#[test]
fn package_does_not_require_itself() {
    let Some(world) = prepared("true", "require") else { return };
    world.package("n", "1.0").conf("required=yes").recipe("exit 2");
    world.ok(&["add", "n/1.0"]);
    upgrade(&world, "").exits(0);
}

#[rstest]
#[case("report", 0)]
#[case("require", 10)]
fn kernel_without_its_headers_is_noticed(#[case] policy: &str, #[case] status: i32) {
    let Some(world) = prepared("true", policy) else { return };
    let ended = apt(&world, &[(&format!("linux-image-{NEXT}"), "/i.deb")], "");
    ended.exits(status).complains("m/1.0 cannot be built: the headers of the kernel do not come with it");
}

#[rstest]
#[case("off")]
#[case("report")]
fn transaction_without_kernels_is_no_affair_of_ours(#[case] policy: &str) {
    let Some(world) = prepared(FAILS, policy) else { return };
    let before = world.everything();
    apt(&world, &[("bash", "/b.deb")], "").exits(0).prints(&[]);
    assert!(world.everything() == before);
}

/// What is no kernel of this machine, or has all that it needs, stops nothing.
#[rstest]
#[case::symbols("linux-image-unsigned-6.1.0-2-amd64-dbgsym", "amd64", ":")]
#[case::another_architecture("linux-image-6.1.0-2-arm64", "arm64", ":")]
#[case::headers_of_another("linux-headers-6.1.0-2-arm64", "arm64", ":")]
#[case::kernel_that_has_it("linux-image-6.1.0-1-amd64", "amd64", "rm -r lib/modules/6.1.0-1-amd64/build")]
#[case::disabled("linux-image-6.1.0-2-amd64", "amd64", "echo 'm *' >etc/dkms/disabled")]
#[case::disabled_and_required(
    "linux-image-6.1.0-2-amd64",
    "amd64",
    "echo m >etc/dkms/disabled; echo required=yes >etc/dkms/m.conf"
)]
fn upgrade_that_loses_nothing_is_not_stopped(#[case] name: &str, #[case] arch: &str, #[case] prepare: &str) {
    let Some(world) = prepared("true", "require") else { return };
    world.shell(&format!("cd {} && {prepare}", world.root().display())).exits(0);
    let text = format!("VERSION 3\nAPT::Architecture=amd64\n\n{name} - - none < 2 {arch} none /x.deb\n");
    fs::write(world.scratch("transaction"), text).unwrap();
    world.shell("$preflight_apt <transaction").exits(0).is_silent_about("would");
}

#[test]
fn notice_goes_when_the_kernel_has_come() {
    let Some(world) = prepared(FAILS, "require") else { return };
    upgrade(&world, "").exits(10);
    assert!(world.has(MOTD));
    upgrade(&world, "DKMS_PREFLIGHT=off").exits(0);
    assert!(!world.has(MOTD));
    upgrade(&world, "").exits(10);
    arrive(&world, NEXT);
    world.hook("header-postinst", &[NEXT]);
    assert!(!world.has(MOTD));
}

/// pacman, which has downloaded the headers of NEXT.
fn pacman(world: &World, variable: &str) -> Ended {
    let file = package(world, NEXT, ".pkg.tar.gz");
    let cache = "/var/cache/pacman/pkg";
    fs::create_dir_all(world.path(cache)).unwrap();
    fs::copy(file, world.path(format!("{cache}/linux-headers-6.1.0.arch1-2-x86_64.pkg.tar.gz"))).unwrap();
    for other in
        ["linux-headers-6.1.0.arch1-2-x86_64.pkg.tar.gz.sig", "linux-headers-5.9-1-x86_64.pkg.tar.gz"]
    {
        world.write(&format!("{cache}/{other}"), "not to be unpacked");
    }
    let paths = format!("usr/lib/modules/{NEXT}/build/include/\\nusr/lib/modules/{NEXT}/modules.order\\n");
    world.shell(&format!("printf '{paths}' | {variable} $preflight_pacman"))
}

#[test]
fn pacman_works_as_apt_does() {
    let Some(world) = prepared(FAILS, "require") else { return };
    let ended = pacman(&world, "");
    ended.exits(10).complains(&format!("Nothing is installed, because kernel {NEXT} would not have m/1.0"));
    ended.complains("pacman -Syu --ignore linux,linux-headers; or install it all the same");
    pacman(&world, "DKMS_PREFLIGHT=build").exits(0).complains("m/1.0 does not build");
    world.package("m", "1.0").recipe("true");
    pacman(&world, "").exits(0).is_silent_about("would lack");
    let made = world.calls("make").len();
    arrive(&world, NEXT);
    world.ok(&["autoinstall", "-k", NEXT]);
    assert_eq!(world.calls("make").len(), made);
}

/// dnf5, which has downloaded the headers of NEXT and is asked what comes; on standard output stands what it is asked last.
fn dnf(world: &World, variable: &str) -> Ended {
    let file = package(world, NEXT, ".pkg.tar.gz");
    let cache = world.path("/var/cache/libdnf5/updates-12ab/packages");
    fs::create_dir_all(&cache).unwrap();
    fs::copy(file, cache.join("kernel-devel-2.rpm")).unwrap();
    // An archive of another form serves as well.
    world.program("rpm2cpio", "exec gzip -dc \"$1\"");
    world.program("cpio", "exec tar -x");
    world.program("rpm", &format!("printf '%s\\n' /usr/src/kernels/{NEXT} /usr/src/kernels/{NEXT}/Makefile"));
    let packages = r#"{"op":"reply","status":"OK","return":{"trans_packages":[{"name":"kernel-devel","repo_id":"updates","location":"k/kernel-devel-2.rpm"},{"name":"kernel-modules","repo_id":"updates","location":"k/kernel-modules-2.rpm"}]}}"#;
    let conf = r#"{"op":"reply","status":"OK","return":{"keys_val":[{"key":"cachedir","value":"/var/cache/libdnf5"}]}}"#;
    world.shell(&format!(
        "rm -f replies; mkfifo replies; exec 3<>replies; {variable} $preflight_dnf <replies 3<&- |
         {{ read -r a; echo '{packages}' >&3; read -r b; echo '{conf}' >&3; cat; }}"
    ))
}

#[test]
fn dnf_is_asked_and_stopped_by_its_protocol() {
    let Some(world) = prepared(FAILS, "require") else { return };
    let ended = dnf(&world, "");
    ended.complains(&format!("Nothing is installed, because kernel {NEXT} would not have m/1.0"));
    ended.complains("Hold the kernel: dnf upgrade --exclude='kernel*'; or install it all the same, once: DKMS_PREFLIGHT=report dnf upgrade");
    let stop = r#"{"args":{"message":"a kernel would lack drivers, and preflight=\"require\""},"op":"stop"}"#;
    assert_eq!(ended.stdout.trim_end(), stop);
    let ended = dnf(&world, "DKMS_PREFLIGHT=build");
    assert_eq!(ended.stdout, "");
    ended.complains("m/1.0 does not build");
    world.package("m", "1.0").recipe("true");
    assert_eq!(dnf(&world, "").stdout, "");
    let made = world.calls("make").len();
    arrive(&world, NEXT);
    world.ok(&["autoinstall", "-k", NEXT]);
    assert_eq!(world.calls("make").len(), made);
}

#[rstest]
#[case::says_nothing("</dev/null", "dnf does not say what comes")]
#[case::says_nonsense("<<'E'\nnonsense\nE\n", "dnf does not say what comes")]
#[case::has_lost_its_packages(
    "<<'E'\n{\"status\":\"OK\",\"return\":{\"trans_packages\":[{\"name\":\"kernel-core\",\"repo_id\":\"a\",\"location\":\"k.rpm\"}]}}\n{\"status\":\"OK\",\"return\":{}}\nE\n",
    "what dnf has downloaded was not found there"
)]
fn failure_of_ours_never_stops_dnf(#[case] input: &str, #[case] expected: &str) {
    let Some(world) = prepared(FAILS, "require") else { return };
    let ended = world.shell(&format!("$preflight_dnf {input}"));
    ended.exits(0).complains(expected).complains("the upgrade goes on");
    assert!(!ended.stdout.contains("stop"), "{}", ended.stdout);
}

/// Another kernel's headers in the cache are none of this transaction.
#[test]
fn kernel_outside_of_the_transaction_stops_nothing() {
    let Some(world) = prepared("[ $kernelver != 6.1.0-2-zen ] || exit 2", "require") else { return };
    let other = package(&world, "6.1.0-2-zen", ".pkg.tar.gz");
    let cache = world.path("/var/cache/pacman/pkg");
    fs::create_dir_all(&cache).unwrap();
    fs::copy(other, cache.join("linux-zen-headers-6.1.0.zen1-2-x86_64.pkg.tar.gz")).unwrap();
    pacman(&world, "").exits(0).is_silent_about("would");
}

#[test]
fn pacman_goes_on_where_the_package_is_not_found() {
    let Some(world) = prepared("true", "require") else { return };
    let line = format!("echo usr/lib/modules/{NEXT}/build/include/ | $preflight_pacman");
    world.shell(&line).exits(0).complains("the upgrade goes on");
}

#[test]
fn failure_of_ours_never_stops_apt() {
    let Some(world) = prepared("true", "require") else { return };
    let name = format!("linux-headers-{NEXT}");
    let missing = apt(&world, &[(&name, "/nowhere.deb")], "");
    missing.exits(0).complains("there is no such file").complains("the upgrade goes on");
    fs::write(world.scratch("half.deb"), "!<arch>\n").unwrap();
    let half = world.scratch("half.deb").display().to_string();
    apt(&world, &[(&name, &half)], "").exits(0).complains("the upgrade goes on");
    world.shell("$preflight_apt </dev/null").exits(0);
    world.shell("head -c 100000 /dev/urandom | $preflight_apt").exits(0);
    world.write("/etc/dkms/framework.conf", "preflight=nonsense\n");
    upgrade(&world, "").exits(0).complains("preflight in framework.conf is \"nonsense\"");
}

#[rstest]
fn status_of_hook_arrives_as_it_is_called(#[values("apt", "pacman")] manager: &str) {
    let apt = include_str!("../../packaging/debian/apt.conf");
    let apt = apt.lines().find_map(|line| line.strip_prefix("DPkg::Pre-Install-Pkgs { \"")).unwrap();
    let pacman = include_str!("../../packaging/arch/60-dkms-preflight.hook");
    let pacman = pacman.lines().find_map(|line| line.strip_prefix("Exec = ")).unwrap();
    let (command, name) = match manager {
        "apt" => (apt.strip_suffix("\"; };").unwrap(), "/usr/lib/dkms/preflight-apt"),
        _ => (pacman, "/usr/lib/dkms/preflight-pacman"),
    };
    // pacman starts programs without a shell, and makes nothing of a dollar.
    let command = if manager == "apt" { command.to_owned() } else { command.replace('$', "\\$") };
    let world = World::without_kernel();
    let hook = world.scratch("hook");
    let command = command.replace(name, &hook.display().to_string());
    for (status, goes_on) in
        [(None, true), (Some(0), true), (Some(10), false), (Some(1), true), (Some(137), true)]
    {
        if let Some(status) = status {
            crate::world::script(&hook, &format!("exit {status}"));
        }
        assert_eq!(world.shell(&command).code == Some(0), goes_on, "{status:?}");
    }
}

/// apt-get with a newer kernel, whose headers it downloads.
#[test]
fn timer_leaves_a_notice_of_what_will_fail() {
    let Some(world) = prepared(FAILS, "report") else { return };
    let file = package(&world, NEXT, ".deb");
    world.program("dpkg-query", "echo 'ii  linux-image-amd64'");
    world.program("apt-cache", "echo linux-headers-amd64");
    world.program(
        "apt-get",
        &format!(
            "case $* in *--simulate*) echo 'Inst linux-headers-{NEXT} (2 Debian [amd64])'; echo 'Inst linux-headers-amd64 (2 Debian [amd64])' ;; *download*linux-headers-{NEXT}=2*) cp {file} . ;; *) exit 1 ;; esac"
        ),
    );
    world.hook("preflight-timer", &[]).exits(0).complains(&format!("kernel {NEXT} would lack drivers"));
    assert!(world.read(MOTD).contains("would lack m/1.0"));
    world.package("m", "1.0").recipe("true");
    world.hook("preflight-timer", &[]).exits(0);
    assert!(!world.has(MOTD));
    world.ok(&["preflight", "--next"]).says(&format!("{NEXT}  ready"));
    world.program("apt-get", "case $* in *--simulate*) exit 0 ;; *) exit 1 ;; esac");
    world.ok(&["preflight", "--next"]).says("brings no kernel headers that are not installed already");
    world.program("apt-get", "echo 'E: Could not resolve host' >&2; exit 100");
    world.dkms(&["preflight", "--next"]).exits(1).complains("Could not resolve host");
    world.hook("preflight-timer", &[]).exits(0).complains("Could not resolve host");
}
