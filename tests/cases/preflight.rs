//! Builds for kernels that are not here yet: what the report says of them, that the machine stays as it is, and that the builds are used
//! when the kernel comes.

use crate::world::{A, K, SIGN, World, script, write};
use rstest::rstest;
use std::fs;
use std::path::{Path, PathBuf};

pub const NEXT: &str = "6.1.0-2-amd64";

/// A machine on which this process may mount; `None` where the tests may not.
pub fn machine() -> Option<World> {
    nix::unistd::geteuid().is_root().then(World::new)
}

/// The headers of a kernel as a package unpacks them, with what the kernel exports.
fn headers(world: &World, release: &str, exports: &str) -> PathBuf {
    let top = world.scratch(&format!("content-{release}"));
    let _ = fs::remove_dir_all(&top);
    let own = top.join("usr/src").join(format!("linux-headers-{release}"));
    write(&own.join("include/config/kernel.release"), b"6.1.192\n");
    write(
        &own.join("include/generated/utsrelease.h"),
        format!("#define UTS_RELEASE \"{release}\"\n").as_bytes(),
    );
    write(&own.join("include/config/auto.conf"), b"CONFIG_MODULES=y\n");
    write(&own.join("include/linux/module.h"), b"/* */\n");
    write(&own.join("Module.symvers"), exports.as_bytes());
    let kernel = top.join("lib/modules").join(release);
    fs::create_dir_all(&kernel).unwrap();
    let link = format!("../../../usr/src/linux-headers-{release}");
    std::os::unix::fs::symlink(link, kernel.join("build")).unwrap();
    top
}

/// A directory of headers for a kernel whose modules are signed.
fn signing_headers(world: &World) -> String {
    let dir = headers(world, NEXT, "").join("usr/src").join(format!("linux-headers-{NEXT}"));
    write(&dir.join("include/config/auto.conf"), b"CONFIG_MODULE_SIG_HASH=\"sha256\"\n");
    script(&dir.join("scripts/sign-file"), SIGN);
    dir.display().to_string()
}

/// The package of such headers, by the ending of its name.
pub fn package(world: &World, release: &str, ending: &str) -> String {
    let content = headers(world, release, "");
    let file = world.scratch(&format!("linux-headers-{release}{ending}"));
    let (from, to) = (content.display(), file.display());
    let line = match ending {
        ".deb" => format!(
            "mkdir {from}/DEBIAN && printf 'Package: h\\nVersion: 1\\nArchitecture: all\\nMaintainer: m <m@m>\\nDescription: d\\n' \
             >{from}/DEBIAN/control && dpkg-deb -b {from} {to} >/dev/null && rm -r {from}/DEBIAN"
        ),
        _ => format!("tar -caf {to} -C {from} ."),
    };
    world.shell(&line).exits(0);
    file.display().to_string()
}

/// A machine with `m` registered, and the package of the next kernel's headers.
fn before_next() -> Option<(World, String)> {
    let world = machine()?;
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let file = package(&world, NEXT, ".pkg.tar.gz");
    Some((world, file))
}

/// The package manager installs them, and calls what it calls.
pub fn arrive(world: &World, release: &str) {
    let content = world.scratch(&format!("content-{release}"));
    world.shell(&format!("cp -a {}/. {}/", content.display(), world.root().display())).exits(0);
    world.kernel(release);
}

/// Everything on the machine but what preflight keeps and the logs.
fn rest(world: &World) -> Vec<(String, Vec<u8>)> {
    let ours = |name: &str| {
        name.starts_with("var/lib/dkms/.preflight") || name.starts_with("var/log/") || name == "var/"
    };
    world.everything().into_iter().filter(|(name, _)| !ours(name)).collect()
}

#[rstest]
#[case::debian(".deb")]
#[case::arch(".pkg.tar.gz")]
fn build_waits_for_its_kernel(#[case] ending: &str) {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let file = package(&world, NEXT, ending);
    let before = rest(&world);
    let made = world.calls("make").len();
    let ended = world.ok(&["preflight", &file]);
    ended.says(&format!("{NEXT}  ready: no package that {K} has would be lost")).says("m/1.0  builds");
    assert_eq!(world.calls("make").len(), made + 1);
    assert!(rest(&world) == before, "the machine is another one");
    assert_eq!(world.status().len(), 1, "callers see nothing of it");
    world.ok(&["fsck"]);
    // A second look compiles nothing.
    world.ok(&["preflight", &file]).says("m/1.0  builds");
    assert_eq!(world.calls("make").len(), made + 1);
    // The kernel comes: what was built is installed.
    arrive(&world, NEXT);
    let arrived = world.hook("header-postinst", &[NEXT]);
    arrived.exits(0).complains("is used as dkms preflight built it.");
    assert_eq!(world.calls("make").len(), made + 1);
    assert!(world.status().contains(&format!("m/1.0, {NEXT}, {}: installed", *A)), "{:?}", world.status());
    assert!(world.read(&format!("/var/lib/dkms/m/1.0/{NEXT}/{}/log/make.log", *A)).contains("make"));
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(!world.has("/var/lib/dkms/m"));
}

#[rstest]
#[case::other_symbols(|world: &World| { write(&world.path(format!("/usr/src/linux-headers-{NEXT}/Module.symvers")), b"0x1 s vmlinux E\n"); })]
#[case::other_headers(|world: &World| { write(&world.path(format!("/usr/src/linux-headers-{NEXT}/include/linux/module.h")), b"/* other */\n"); })]
#[case::other_source(|world: &World| { world.package("m", "1.0").file("m.c", "other"); })]
#[case::other_settings(|world: &World| { world.write("/etc/dkms/framework.conf", "build_environment=/etc/environment\n"); })]
#[case::another_compiler(|world: &World| world.program("gcc", "exec /usr/bin/gcc \"$@\""))]
#[case::damaged(|world: &World| {
    write(&world.path(format!("/var/lib/dkms/.preflight/m/1.0/{NEXT}/{}/module/m.ko", *A)), b"other");
})]
fn build_for_something_else_is_not_used(#[case] change: fn(&World)) {
    let Some((world, file)) = before_next() else { return };
    world.ok(&["preflight", &file]);
    arrive(&world, NEXT);
    change(&world);
    let made = world.calls("make").len();
    world.ok(&["autoinstall", "-k", NEXT]);
    assert_eq!(world.calls("make").len(), made + 1);
    assert!(world.status().contains(&format!("m/1.0, {NEXT}, {}: installed", *A)));
}

/// What was given by hand is in no record: such builds are neither made nor used.
#[rstest]
#[case(&["--directive=MAKE=make X=1"])]
#[case(&["--kernelsourcedir", "/"])]
#[case(&["--config", "/etc/hostname"])]
#[case(&["--force-vermagic"])]
fn what_is_given_by_hand_is_no_preflight(#[case] options: &[&str]) {
    let Some((world, file)) = before_next() else { return };
    world.dkms(&[&["preflight", file.as_str()], options].concat()).exits(2).complains("as the hooks will");
    world.ok(&["preflight", &file]);
    arrive(&world, NEXT);
    let made = world.calls("make").len();
    let built = world.dkms(&[&["build", "m/1.0", "-k", NEXT], options].concat());
    built.is_silent_about("is used as dkms preflight built it");
    let headers_are_there = !options.contains(&"--kernelsourcedir");
    assert_eq!(built.code == Some(0), headers_are_there);
    assert_eq!(world.calls("make").len() - made, usize::from(headers_are_there));
}

/// A package that cannot be shown leaves the machine's directories as they are.
#[test]
fn headers_that_cannot_be_shown_cost_nothing() {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let content = headers(&world, NEXT, "");
    fs::create_dir_all(content.join("usr/lib/modules/zz")).unwrap();
    std::os::unix::fs::symlink("nowhere", content.join("lib/modules/zz")).unwrap();
    let tar = world.scratch("twice.pkg.tar");
    world.shell(&format!("tar -cf {} -C {} .", tar.display(), content.display())).exits(0);
    let before = rest(&world);
    world.dkms(&["preflight", tar.to_str().unwrap()]).exits(1).complains("zz comes twice");
    assert!(rest(&world) == before, "the machine is another one");
    assert!(!world.has("/var/lib/dkms/.preflight/.headers"));
}

#[test]
fn keys_are_used_and_never_made() {
    let Some(world) = machine() else { return };
    world.write("/etc/dkms/framework.conf", "try_sign_modules=true\n");
    let _ = fs::remove_dir_all(world.path(format!("/lib/modules/{K}")));
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let dir = signing_headers(&world);
    let before = rest(&world);
    world.ok(&["preflight", &dir]).says("m/1.0  builds");
    assert!(rest(&world) == before, "the machine is another one");
    world.ok(&["preflight", &dir]);
    let made = world.calls("make").len();
    arrive(&world, NEXT);
    let status = |world: &World| {
        let text = world.ok(&["status", "--format", "json"]).stdout.clone();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["packages"][0]["builds"][0]["modules"][0]["signer"].clone()
    };
    world.signing_keys("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub");
    world.ok(&["autoinstall", "-k", NEXT]);
    assert_eq!(world.calls("make").len(), made, "it is signed without compiling");
    assert_eq!(status(&world), "cases");
}

#[test]
fn keys_of_the_machine_sign() {
    let Some(world) = machine() else { return };
    world.write("/etc/dkms/framework.conf", "try_sign_modules=true\n");
    world.signing_keys("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub");
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let dir = signing_headers(&world);
    let before = rest(&world);
    for _ in 0..2 {
        world.ok(&["preflight", &dir]).says("m/1.0  builds").is_silent_about("unsigned");
        assert!(rest(&world) == before, "the machine is another one");
    }
    let module = format!("/var/lib/dkms/.preflight/m/1.0/{NEXT}/{}/module/m.ko", *A);
    assert!(fs::read(world.path(module)).unwrap().ends_with(b"~Module signature appended~\n"));
}

#[rstest]
#[case("GZIP", "gz")]
#[case("XZ", "xz")]
#[case("ZSTD", "zst")]
fn module_is_compressed_as_the_kernel_will_be(#[case] option: &str, #[case] form: &str) {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let dir = headers(&world, NEXT, "").join("usr/src").join(format!("linux-headers-{NEXT}"));
    let config = format!("CONFIG_MODULES=y\nCONFIG_MODULE_COMPRESS_{option}=y\n");
    write(&dir.join("include/config/auto.conf"), config.as_bytes());
    world.ok(&["preflight", &dir.display().to_string()]).says("m/1.0  builds");
    arrive(&world, NEXT);
    world.kernel(NEXT).compressed(form);
    world.ok(&["autoinstall", "-k", NEXT]).complains("is used as dkms preflight built it.");
    assert_eq!(world.names(&format!("/lib/modules/{NEXT}/updates/dkms")), [format!("m.ko.{form}")]);
}

/// The second one waits, and neither disturbs the other.
#[test]
fn two_preflights_follow_each_other() {
    let Some(world) = machine() else { return };
    world.write("/etc/dkms/framework.conf", "try_sign_modules=true\n");
    world.signing_keys("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub");
    let mark = world.scratch("started");
    world.package("m", "1.0").recipe(&format!("touch {}; sleep 1", mark.display()));
    world.ok(&["add", "m/1.0"]);
    let dir = signing_headers(&world);
    let first = world.start(&["preflight", &dir]);
    crate::world::wait_until("it builds", || mark.exists());
    let second = world.dkms(&["preflight", &dir]);
    second.exits(0).says("m/1.0  builds").complains("/var/lib/dkms/.preflight");
    first.wait().exits(0).says("m/1.0  builds").is_silent_about("unsigned");
    assert_eq!(world.calls("make").len(), 1);
}

#[rstest]
#[case::itself(".")]
#[case::outside("/tmp")]
fn link_in_the_place_of_the_other_tree_is_refused(#[case] target: &str) {
    let Some((world, file)) = before_next() else { return };
    std::os::unix::fs::symlink(target, world.path("/var/lib/dkms/.preflight")).unwrap();
    world.dkms(&["preflight", &file]).exits(1).complains("it is not a directory");
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn headers_for_another_kernel_are_refused() {
    let Some(world) = machine() else { return };
    let file = package(&world, NEXT, ".pkg.tar.gz");
    world
        .dkms(&["preflight", &file, "-k", K])
        .exits(21)
        .complains(&format!("they are for {NEXT}, not for {K}"));
}

#[test]
fn removed_package_takes_its_builds_along() {
    let Some((world, file)) = before_next() else { return };
    world.ok(&["preflight", &file]);
    world.ok(&["remove", "m/1.0", "--all"]);
    assert!(!world.has("/var/lib/dkms/.preflight/m/1.0"));
}

/// Several packages at once: each finds its build.
#[test]
fn builds_of_many_packages_are_used() {
    let Some(world) = machine() else { return };
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.package(name, "1.0");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    let file = package(&world, NEXT, ".pkg.tar.gz");
    world.ok(&["preflight", &file]);
    arrive(&world, NEXT);
    let made = world.calls("make").len();
    world.ok(&["autoinstall", "-k", NEXT]);
    assert_eq!(world.calls("make").len(), made);
    assert_eq!(world.status().len(), 6);
}

#[test]
fn forced_build_is_a_new_one() {
    let Some((world, file)) = before_next() else { return };
    world.ok(&["preflight", &file]);
    arrive(&world, NEXT);
    let made = world.calls("make").len();
    world.ok(&["install", "m/1.0", "-k", NEXT, "--force"]);
    assert_eq!(world.calls("make").len(), made + 1);
}

#[test]
fn install_by_name_uses_the_build_as_well() {
    let Some((world, file)) = before_next() else { return };
    world.ok(&["preflight", &file]);
    arrive(&world, NEXT);
    let made = world.calls("make").len();
    world.ok(&["install", "m/1.0", "-k", NEXT]);
    assert_eq!(world.calls("make").len(), made);
}

#[test]
fn lost_package_is_told_with_its_reason() {
    let Some(world) = machine() else { return };
    world
        .package("m", "1.0")
        .recipe("[ $kernelver != 6.1.0-2-amd64 ] || { echo 'm.c:3:1: error: no such thing'; exit 2; }");
    world.package("old", "1.0").conf("BUILD_EXCLUSIVE_KERNEL=\"^6\\.1\\.0-1-\"");
    world.package("never", "1.0").recipe("exit 2");
    world.package("by-hand", "1.0").conf("AUTOINSTALL=");
    world.package("needy", "1.0").conf("BUILD_DEPENDS=\"absent\"");
    for package in ["m/1.0", "old/1.0", "by-hand/1.0"] {
        world.ok(&["install", package]);
    }
    world.ok(&["add", "never/1.0"]);
    world.ok(&["add", "needy/1.0"]);
    let file = package(&world, NEXT, ".pkg.tar.gz");
    let ended = world.dkms(&["preflight", &file]);
    ended.exits(1).says(&format!("{NEXT}  NOT READY: it would lack 3 packages that {K} has"));
    ended.says("m/1.0        does not build: m.c:3:1: error: no such thing");
    ended.says("old/1.0      does not want this kernel: BUILD_EXCLUSIVE_KERNEL[0]=");
    ended.says("by-hand/1.0  is not built automatically: its dkms.conf does not say AUTOINSTALL=yes");
    ended.says("needy/1.0    cannot be built: needs absent, which is not registered with dkms (the running kernel does not have it either)");
    ended.says(&format!("Boot {K} until newer drivers are available"));
    let log = ended.stdout.lines().find_map(|line| line.trim().strip_prefix("log: ")).unwrap();
    assert!(fs::read_to_string(log).unwrap().contains("no such thing"), "{log}");
    for line in ended.stdout.lines().chain(ended.stderr.lines()) {
        for word in line.split([' ', '(', ')']).filter(|word| word.ends_with("make.log")) {
            assert!(Path::new(word).exists(), "{word}");
        }
    }
    // What failed is remembered, and told in no time.
    let made = world.calls("make").len();
    let again = world.dkms(&["preflight", &file, "--format", "json"]);
    again.exits(1);
    assert_eq!(world.calls("make").len(), made);
    let document: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&document["ready"], &document["running"]), (&false.into(), &K.into()));
    let packages = document["kernels"][0]["packages"].as_array().unwrap();
    let outlook = |name: &str| {
        let found = packages.iter().find(|package| package["name"] == name).unwrap();
        (found["outlook"].as_str().unwrap().to_owned(), found["running"].as_bool().unwrap())
    };
    assert_eq!(outlook("m"), ("fails".into(), true));
    assert_eq!(outlook("old"), ("excluded".into(), true));
    assert_eq!(outlook("never"), ("fails".into(), false));
    assert_eq!(outlook("needy"), ("waits".into(), false));
    assert_eq!(outlook("by-hand"), ("not-automatic".into(), true));
    let log = packages.iter().find(|package| package["name"] == "m").unwrap()["log"].as_str().unwrap();
    assert!(Path::new(log).is_file(), "{log}");
}

#[test]
fn packages_are_built_with_those_they_need() {
    let Some(world) = machine() else { return };
    world.package("base", "1.0");
    world.package("upon", "1.0").conf("BUILD_DEPENDS=\"base\"");
    for package in ["base/1.0", "upon/1.0"] {
        world.ok(&["install", package]);
    }
    let file = package(&world, NEXT, ".pkg.tar.gz");
    world.ok(&["preflight", &file]).says("upon/1.0  builds");
    arrive(&world, NEXT);
    let made = world.calls("make").len();
    // By its name alone it would be built against nothing.
    world.dkms(&["install", "upon/1.0", "-k", NEXT]).exits(13);
    world.ok(&["autoinstall", "-k", NEXT]);
    assert_eq!(world.calls("make").len(), made);
}

#[test]
fn directory_of_headers_is_taken() {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let dir = headers(&world, NEXT, "").join("usr/src").join(format!("linux-headers-{NEXT}"));
    world.ok(&["preflight", dir.to_str().unwrap()]).says(&format!("{NEXT}  ready"));
    world.ok(&["preflight", "-k", K]).says(&format!("{K}  ready"));
    world.dkms(&["preflight", "-k", NEXT]).exits(21).complains("cannot be found");
}

#[rstest]
#[case::nothing(&["preflight"], 2, "Which kernel?")]
#[case::both(&["preflight", "--next", "x.deb"], 2, "--next downloads")]
#[case::missing(&["preflight", "/none.deb"], 21, "/none.deb cannot be used as kernel headers: there is no such file")]
#[case::no_package(&["preflight", "/etc/hostname"], 21, "ends neither in .deb")]
#[case::no_headers(&["preflight", "/etc"], 21, "the directory has no include/generated/utsrelease.h")]
fn senseless_line_is_refused(#[case] line: &[&str], #[case] code: u8, #[case] text: &str) {
    let Some(world) = machine() else { return };
    world.dkms(line).exits(code.into()).complains(text);
    assert!(!world.has("/var/lib/dkms/.preflight/.headers"));
}

#[test]
fn unusable_package_leaves_nothing() {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let file = package(&world, NEXT, ".deb");
    let content = fs::read(&file).unwrap();
    fs::write(&file, &content[..content.len() / 2]).unwrap();
    world
        .dkms(&["preflight", &file])
        .exits(21)
        .complains("cannot be used as kernel headers: ")
        .complains("dpkg-deb: error");
    let top = headers(&world, NEXT, "");
    let config = top.join("usr/src").join(format!("linux-headers-{NEXT}/include/config/auto.conf"));
    let other = if *A == "aarch64" { "CONFIG_X86=y\n" } else { "CONFIG_ARM64=y\n" };
    fs::write(config, other).unwrap();
    let tar = world.scratch("foreign.pkg.tar");
    world.shell(&format!("tar -cf {} -C {} .", tar.display(), top.display())).exits(0);
    world.dkms(&["preflight", tar.to_str().unwrap()]).exits(21).complains("for another architecture");
    // What another package has is missing.
    let top = headers(&world, NEXT, "");
    let makefile = top.join("usr/src").join(format!("linux-headers-{NEXT}/Makefile"));
    fs::write(makefile, "include /usr/src/linux-headers-6.1.0-2-common/Makefile\n").unwrap();
    world.shell(&format!("tar -cf {} -C {} .", tar.display(), top.display())).exits(0);
    let ended = world.dkms(&["preflight", tar.to_str().unwrap()]);
    ended.exits(21).complains("linux-headers-6.1.0-2-common/Makefile, which is in another package");
    assert!(!world.has("/var/lib/dkms/.preflight/.headers") && world.status() == ["m/1.0: added"]);
}

#[test]
fn preflight_clears_up_after_killed_one() {
    let Some(world) = machine() else { return };
    let mark = world.scratch("started");
    world.package("m", "1.0").recipe(&format!("touch {}; sleep 60", mark.display()));
    world.ok(&["add", "m/1.0"]);
    let file = package(&world, NEXT, ".pkg.tar.gz");
    for signal in ["TERM", "KILL"] {
        let _ = fs::remove_file(&mark);
        let running = world.start(&["preflight", &file]);
        crate::world::wait_until("it builds", || mark.exists());
        world.shell(&format!("kill -{signal} {}", running.pid())).exits(0);
        let ended = running.wait();
        assert_ne!(ended.code, Some(0), "{ended:?}");
    }
    world.package("m", "1.0").without("recipe");
    world.ok(&["preflight", &file]).says("m/1.0  builds");
    assert!(!world.has("/var/lib/dkms/.preflight/.headers"));
    let left = world.names("/var/lib/dkms/.preflight");
    assert!(!left.iter().any(|name| name.contains(".tmp_")), "{left:?}");
    assert_eq!(world.status(), ["m/1.0: added"]);
}

#[test]
fn build_goes_when_its_kernel_does_not_come() {
    let Some((world, file)) = before_next() else { return };
    world.ok(&["preflight", &file]);
    let kept = format!("/var/lib/dkms/.preflight/m/1.0/{NEXT}/{}", *A);
    world.ok(&["autoinstall"]);
    assert!(world.has(&kept));
    let record = world.path(format!("{kept}/.dkms-build.json"));
    world.shell(&format!("touch -d '31 days ago' {}", record.display())).exits(0);
    world.ok(&["autoinstall"]);
    assert!(!world.has(&kept));
}

#[test]
fn package_that_is_gone_is_forgotten() {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.package("n", "1.0");
    world.ok(&["add", "m/1.0"]);
    world.ok(&["add", "n/1.0"]);
    let file = package(&world, NEXT, ".pkg.tar.gz");
    world.ok(&["preflight", &file]);
    // As a dkms does that knows nothing of the builds that wait.
    fs::remove_dir_all(world.path("/var/lib/dkms/m")).unwrap();
    assert!(world.has("/var/lib/dkms/.preflight/m"));
    let ended = world.ok(&["preflight", &file]);
    ended.says("n/1.0  builds");
    assert!(!ended.stdout.contains("m/1.0"), "{}", ended.stdout);
    assert!(!world.has("/var/lib/dkms/.preflight/m"));
}

#[test]
fn disabled_package_is_no_loss() {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["disable", "m", "-k", NEXT, "--reason", "not wanted there"]);
    let file = package(&world, NEXT, ".pkg.tar.gz");
    world
        .ok(&["preflight", &file])
        .says("m/1.0  is left alone: it is disabled for kernels")
        .says("not wanted there");
}

#[test]
fn source_inside_of_the_tree_is_out_of_sight() {
    let Some(world) = machine() else { return };
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    let (from, to) = (world.path("/usr/src/m-1.0"), world.path("/var/lib/dkms/.sources/m-1.0"));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::rename(from, &to).unwrap();
    let link = world.path("/var/lib/dkms/m/1.0/source");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&to, link).unwrap();
    let file = package(&world, NEXT, ".pkg.tar.gz");
    world.ok(&["preflight", &file]).says("m/1.0  cannot be tried before: its source lies in the DKMS tree");
}

/// Not even a kbuild that asks what compilers know.
#[test]
fn many_kept_builds_ask_no_compiler() {
    let Some((world, file)) = before_next() else { return };
    for name in ["n", "o", "p", "q"] {
        world.package(name, "1.0");
        world.ok(&["add", &format!("{name}/1.0")]);
    }
    world.ok(&["preflight", &file]);
    arrive(&world, NEXT);
    let asks = |words: &[&str]| {
        let trace = world.scratch("trace").display().to_string();
        let options = ["-e", "trace=mkdir,mkdirat", "-o", &trace].map(str::to_owned);
        world.traced(&options, words[0], &words[1..]).exits(0);
        fs::read_to_string(trace).unwrap().contains(".dkms-cc-")
    };
    assert!(!asks(&["header-postinst", NEXT]));
    let installed = |row: &&String| row.contains(NEXT) && row.ends_with("installed");
    assert_eq!(world.status().iter().filter(installed).count(), 5);
    // Where they have to be compiled it does.
    for name in ["m", "n", "o", "p", "q"] {
        world.ok(&["unbuild", &format!("{name}/1.0"), "-k", NEXT]);
    }
    assert!(asks(&["dkms", "autoinstall", "-k", NEXT]));
}
