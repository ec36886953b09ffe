//! What a package's programs can reach while it is built.

use crate::world::{A, K, World, line, spawn, wait_until};
use rstest::rstest;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A machine on which builds may write what is their own, and nothing else; `None` where the tests may not have it.
fn walled(policy: &str) -> Option<World> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let world = World::new();
    world.write("/etc/dkms/framework.conf.d/00-world.conf", format!("build_isolation={policy}\n"));
    world.signing_keys("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub");
    let root_only = fs::Permissions::from_mode(0o600);
    fs::set_permissions(world.path("/var/lib/dkms/mok.key"), root_only).unwrap();
    world.write("/etc/precious", "PRECIOUS\n");
    world.write("/root/private", "PRIVATE\n");
    world.package("other", "1.0");
    world.ok(&["install", "other/1.0"]);
    Some(world)
}

/// What the build did that it should not have done, as its log tells.
const TELL: &str =
    "did() { if \"$@\"; then echo \"DONE: $*\"; fi; }; shows() { cat \"$1\" && echo \"READ: $1\"; }\n";

#[rstest]
#[case::configuration("did touch $DKMS_ROOT/etc/made; did rm $DKMS_ROOT/etc/precious")]
#[case::machine("did touch /etc/dkms-walls-test /usr/dkms-walls-test")]
#[case::own_source("did touch $DKMS_ROOT/usr/src/other-1.0/made; touch $DKMS_ROOT/usr/src/m-1.0/made")]
#[case::kernel(
    "did touch $DKMS_ROOT/lib/modules/$kernelver/made; did rm -r $DKMS_ROOT/lib/modules/$kernelver/updates"
)]
#[case::tree(
    "did touch $DKMS_ROOT/var/lib/dkms/made $DKMS_ROOT/var/lib/dkms/other/made $DKMS_ROOT/var/lib/dkms/m/made"
)]
#[case::keys("shows $DKMS_ROOT/var/lib/dkms/mok.key; shows $DKMS_ROOT/root/private; shows /root/.bashrc")]
#[case::other_package("did ls $DKMS_ROOT/var/lib/dkms/other/1.0")]
#[case::owner("did chown 1:1 recipe; did mknod null c 1 3; did mount -t tmpfs none .")]
#[case::network("did grep -v -E '^ *lo:|Inter|face' /proc/net/dev; did ls -d /proc/[0-9][0-9][0-9]*")]
#[case::setuid("cp /bin/true mine; chmod 4755 mine; cp -p mine ../mine; did test -u ../mine")]
#[case::bash("bash -c 'exec 3<>/dev/tcp/127.0.0.1/22' && echo 'DONE: network'; true")]
fn build_touches_nothing_but_its_own_directory(#[case] attempt: &str) {
    let Some(world) = walled("strict") else { return };
    world.package("m", "1.0").recipe(&format!("{TELL}{attempt}"));
    world.ok(&["add", "m/1.0"]);
    let before = world.everything();
    world.ok(&["build", "m/1.0"]);
    let log = world.read(&format!("/var/lib/dkms/m/1.0/{K}/{}/log/make.log", *A));
    assert!(!log.contains("DONE: ") && !log.contains("READ: "), "{log}");
    assert!(!log.contains("PRIVATE") && !log.contains("PRIVATE KEY"), "{log}");
    let after = world.everything();
    let is_own = |path: &&String| path.contains("var/lib/dkms/m/1.0") || path.contains("var/log/dkms");
    for (path, content) in before.iter().filter(|(path, _)| !is_own(path)) {
        assert!(after.get(path) == Some(content), "{path} is another one");
    }
    let new: Vec<&String> =
        after.keys().filter(|path| !before.contains_key(*path) && !is_own(path)).collect();
    assert!(new.is_empty(), "{new:?}");
    let left = fs::read_dir("/etc").unwrap().flatten().any(|entry| entry.file_name() == "dkms-walls-test");
    assert!(!left);
}

#[rstest]
#[case::parent("kill -9 $PPID")]
#[case::everything("kill -9 -1; true")]
#[case::by_number("for i in $(seq 300 500); do kill -9 $i; done")]
fn other_processes_are_out_of_reach(#[case] attempt: &str) {
    let Some(world) = walled("strict") else { return };
    let walls = world.dkms(&["check", "--full", "--format", "json"]).stdout;
    let walls: serde_json::Value = serde_json::from_str(&walls).unwrap();
    if !walls["isolation"]["walls"].as_array().unwrap().iter().any(|wall| wall == "processes") {
        // Where the wall is missing this would kill the tests.
        return;
    }
    world.package("m", "1.0").recipe(attempt);
    let mut bystander = spawn(std::process::Command::new("sleep").arg("300"));
    let _ = world.dkms(&["build", "m/1.0"]);
    assert!(bystander.try_wait().unwrap().is_none(), "it was killed");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    fs::remove_file(world.path("/usr/src/m-1.0/recipe")).unwrap();
    world.ok(&["install", "m/1.0"]);
}

#[test]
fn build_does_not_type_into_the_terminal() {
    let Some(world) = walled("strict") else { return };
    world.package("m", "1.0").recipe("if : >/dev/tty; then echo 'DONE: terminal'; fi; exit 2");
    let ended = world.on_terminal(80, &[], "dkms build m/1.0; : >/dev/tty && echo 'a terminal'");
    ended.says("a terminal");
    let log = world.read("/var/lib/dkms/m/1.0/build/make.log");
    assert!(!log.contains("DONE: "), "{log}");
}

#[test]
fn nothing_that_build_started_is_left() {
    let Some(world) = walled("auto") else { return };
    let mark = format!("300.{}", std::process::id());
    world.package("m", "1.0").recipe(&format!("setsid sleep {mark} >/dev/null 2>&1 </dev/null &"));
    world.ok(&["build", "m/1.0"]);
    let runs = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        lines.any(|line| String::from_utf8_lossy(&line).contains(&mark))
    };
    wait_until("the daemon is gone", || !runs());
}

#[test]
fn denied_build_is_tried_without_walls() {
    let Some(world) = walled("auto") else { return };
    world.package("m", "1.0").recipe("echo $module >> $DKMS_ROOT/etc/made || exit 2");
    let ended = world.dkms(&["build", "m/1.0"]);
    ended.exits(0).complains("does not build in isolation: ").complains("Read-only file system");
    ended.complains("build_isolation=\"strict\" in /etc/dkms/m.conf");
    assert_eq!(world.read("/etc/made"), "m\n");
    let status = world.ok(&["status", "--format", "json"]).stdout.clone();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let packages = status["packages"].as_array().unwrap();
    let isolation = |name: &str| {
        let package = packages.iter().find(|package| package["name"] == name).unwrap();
        package["builds"][0]["isolation"].clone()
    };
    assert_eq!(isolation("m")["walls"], serde_json::json!([]));
    assert!(isolation("m")["fallback"].as_str().unwrap().contains("Read-only file system"));
    assert!(isolation("other")["walls"].as_array().unwrap().iter().any(|wall| wall == "files"));
    assert!(isolation("other")["fallback"].is_null());
}

#[rstest]
#[case::make("", "touch $DKMS_ROOT/etc/made || exit 2", 10)]
#[case::script("PRE_BUILD=pre.sh", "", 3)]
#[case::result("", "ln -sf $DKMS_ROOT/etc/precious m.ko; rm m.ko.in", 7)]
fn strict_build_fails_with_the_reason(#[case] conf: &str, #[case] recipe: &str, #[case] code: i32) {
    let Some(world) = walled("strict") else { return };
    world
        .package("m", "1.0")
        .conf(conf)
        .script("pre.sh", "touch $DKMS_ROOT/etc/made || exit 3")
        .recipe(recipe);
    let ended = world.dkms(&["build", "m/1.0"]);
    ended.exits(code).complains("Its isolation denied it something: ");
    ended.complains("To let it build without: build_isolation=\"auto\" in /etc/dkms/m.conf");
    assert!(!world.has("/etc/made"));
    // What the error names is a way out.
    world.write("/etc/dkms/m.conf", "build_isolation=\"auto\"\n");
    if code != 7 {
        world.ok(&["build", "m/1.0"]);
    }
}

#[test]
fn failure_that_is_not_a_denial_is_no_reason_to_try_again() {
    let Some(world) = walled("auto") else { return };
    world.package("m", "1.0").recipe("echo 'm.c:1: error: no'; exit 2");
    world.dkms(&["build", "m/1.0"]).exits(10).is_silent_about("isolation");
    let status: serde_json::Value =
        serde_json::from_str(&world.ok(&["status", "--format", "json"]).stdout).unwrap();
    let walls = status["packages"][0]["failures"][0]["isolation"]["walls"].as_array().unwrap();
    assert!(walls.contains(&"files".into()), "a failed build has its walls in its record: {walls:?}");
}

#[rstest]
#[case::package("/usr/src/m-1.0/dkms.conf", true)]
#[case::administrator("/etc/dkms/m.conf", false)]
#[case::for_one_version("/etc/dkms/m-1.0.conf", false)]
fn only_the_administrator_opens_the_walls(#[case] file: &str, #[case] walls_stand: bool) {
    let Some(world) = walled("strict") else { return };
    world.package("m", "1.0").recipe("echo $module >> $DKMS_ROOT/etc/made || exit 2");
    let text = if world.has(file) { world.read(file) } else { String::new() };
    world.write(file, format!("{text}\nbuild_isolation=off\n"));
    let ended = world.dkms(&["build", "m/1.0"]);
    assert_eq!(ended.code != Some(0), walls_stand, "{}", ended.stderr);
    assert_eq!(world.has("/etc/made"), !walls_stand);
}

#[test]
fn command_line_opens_the_walls_and_says_so() {
    let Some(world) = walled("strict") else { return };
    world.package("m", "1.0").recipe("echo $module >> $DKMS_ROOT/etc/made || exit 2");
    world.ok(&["build", "m/1.0", "--no-isolation"]).complains("Without isolation, as --no-isolation says");
    assert_eq!(world.read("/etc/made"), "m\n");
}

#[test]
fn administrator_adds_what_builds_may_write() {
    let Some(world) = walled("strict") else { return };
    let cache = world.path("/var/cache/compiler");
    fs::create_dir_all(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    world.package("m", "1.0").recipe("touch $DKMS_ROOT/var/cache/compiler/made || exit 2");
    world.write("/etc/dkms/m.conf", format!("build_paths=\"/no/such {} relative\"\n", cache.display()));
    world.ok(&["build", "m/1.0"]).complains("relative, which is no absolute path; ignoring it.");
    assert!(world.has("/var/cache/compiler/made"));
}

/// Headers that are compared, and that each run looks at because of `other`; the directory of one.
fn add_header(world: &World) -> String {
    let build = format!("/lib/modules/{K}/build");
    world.kernel(K).headers().config("CONFIG_CC_VERSION_TEXT=\"gcc 12\"\nCONFIG_MODULES=y\n");
    world.write(&format!("{build}/Module.symvers"), "");
    world.write(&format!("{build}/include/generated/first.h"), "");
    world.ok(&["build", "--force", "other/1.0"]);
    format!("{build}/include/generated")
}

/// What is looked at once in a run is looked at again after a build that may have changed it.
#[rstest]
#[case::above("/lib/modules")]
#[case::themselves("/lib/modules/6.1.0-1-amd64/build")]
#[case::below("/lib/modules/6.1.0-1-amd64/build/include/generated")]
fn build_that_prepares_headers_is_made_once(#[case] open: &str) {
    let Some(world) = walled("strict") else { return };
    let generated = add_header(&world);
    fs::set_permissions(world.path(&generated), fs::Permissions::from_mode(0o777)).unwrap();
    let prepared = world.path(format!("{generated}/prepared.h"));
    world.package("prepares", "1.0").recipe(&format!("echo x >> {} || exit 2", prepared.display()));
    world.write("/etc/dkms/prepares.conf", format!("build_paths=\"{}\"\n", world.path(open).display()));
    world.ok(&["add", "prepares/1.0"]);
    for _ in 0..2 {
        world.ok(&["autoinstall"]);
        assert_eq!(fs::read_to_string(&prepared).unwrap(), "x\n");
    }
}

/// A build that cannot write headers counts as made with those that the run found.
#[test]
fn headers_that_change_meanwhile_are_noticed() {
    let Some(world) = walled("strict") else { return };
    let header = add_header(&world) + "/first.h";
    let (begun, go_on) = (world.path("/usr/src/begun"), world.path("/usr/src/go_on"));
    fs::create_dir_all(&begun).unwrap();
    fs::set_permissions(&begun, fs::Permissions::from_mode(0o777)).unwrap();
    world.package("slow", "1.0").recipe(&format!(
        "touch {}/here; while ! test -e {}; do sleep 0.02; done",
        begun.display(),
        go_on.display()
    ));
    world.write("/etc/dkms/slow.conf", format!("build_paths=\"{}\"\n", begun.display()));
    world.ok(&["add", "slow/1.0"]);
    let running = world.start(&["autoinstall"]);
    wait_until("the build has begun", || begun.join("here").exists());
    world.write(&header, "#define NEW 1\n");
    world.write("/usr/src/go_on", "");
    running.wait().exits(0);
    world
        .ok(&["autoinstall"])
        .complains("slow/1.0 for kernel 6.1.0-1-amd64 (x86_64) is rebuilt: the kernel's headers");
    world.ok(&["autoinstall"]).is_silent_about("is rebuilt");
}

#[test]
fn unknown_rule_is_named_and_the_default_holds() {
    let Some(world) = walled("none") else { return };
    world.package("m", "1.0").recipe("touch $DKMS_ROOT/etc/made; true");
    world.ok(&["build", "m/1.0"]).complains("\"none\", which is none of auto, strict and off; using auto.");
    assert!(!world.has("/etc/made"));
}

#[test]
fn links_inside_of_the_build_are_followed() {
    let Some(world) = walled("strict") else { return };
    world
        .package("m", "1.0")
        .conf("BUILT_MODULE_LOCATION=out")
        .recipe("mkdir real; cp m.ko.in real/m.ko; ln -s real/m.ko m.link; ln -s real out; rm m.ko.in");
    world.ok(&["install", "m/1.0"]);
    assert!(world.status().contains(&line("m/1.0", K, "installed")));
}

#[rstest]
#[case::link("ln -s $DKMS_ROOT/etc/precious link", "link")]
#[case::pipe("mkfifo pipe", "pipe")]
#[case::log("ln -s $DKMS_ROOT/etc log", "log")]
fn post_build_leaves_files_only(#[case] attempt: &str, #[case] name: &str) {
    let Some(world) = walled("strict") else { return };
    let result = format!("cd $DKMS_ROOT/var/lib/dkms/m/1.0/{K}/{} && {attempt}", *A);
    world.package("m", "1.0").conf("POST_BUILD=post.sh").script("post.sh", &result);
    let ended = world.dkms(&["build", "m/1.0"]);
    if name != "pipe" {
        ended.exits(7).complains(&format!("{name} of m/1.0")).complains("is no regular file");
    }
    assert!(!world.has(&format!("/var/lib/dkms/m/1.0/{K}/{}/{name}", *A)) || name == "log");
    assert_eq!(
        fs::read_dir(world.path("/etc")).unwrap().flatten().filter(|e| e.file_name() == "make.log").count(),
        0
    );
}

#[test]
fn post_build_changes_the_result_and_not_the_record() {
    let Some(world) = walled("strict") else { return };
    let dir = format!("$DKMS_ROOT/var/lib/dkms/m/1.0/{K}/{}", *A);
    let post = format!(
        "set -e; echo more >{dir}/module/extra; sed -i s,/updates/dkms,/../../../etc, {dir}/.dkms-build.json; ! touch {dir}/../made"
    );
    world.package("m", "1.0").conf("POST_BUILD=post.sh").script("post.sh", &post);
    world.ok(&["install", "m/1.0"]);
    assert!(world.has(&format!("/lib/modules/{K}/updates/dkms/m.ko")));
    assert!(!world.has("/etc/m.ko"));
    let extra = world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/extra", *A));
    let data = fs::metadata(&extra).unwrap();
    assert_eq!(data.permissions().mode() & 0o7777, 0o644);
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&data), 0);
}

/// Each would be the way of a build to what it must not have.
#[rstest]
#[case::install_record("sed s,@,$DKMS_ROOT/lib/modules/$kernelver/kernel/own.ko, forged >.dkms-install.json")]
#[case::dependency("echo 1.0 >.dep_evil")]
#[case::directory("mkdir .dep_evil && touch .dep_evil/x")]
fn post_build_leaves_no_record(#[case] attempt: &str) {
    let Some(world) = walled("strict") else { return };
    world.write(&format!("/lib/modules/{K}/kernel/own.ko"), "OWN");
    let post = format!(
        "cp forged $DKMS_ROOT/var/lib/dkms/m/1.0/{K}/{0}/; cd $DKMS_ROOT/var/lib/dkms/m/1.0/{K}/{0} && {attempt}",
        *A
    );
    let forged = r#"{"format":1,"files":[{"path":"@","size":3,"sha256":"","inode":1}]}"#;
    world.package("m", "1.0").conf("POST_BUILD=post.sh").script("post.sh", &post).file("forged", forged);
    for args in
        [vec!["install", "m/1.0"], vec!["build", "m/1.0", "--force"], vec!["install", "m/1.0", "--force"]]
    {
        world.ok(&args);
    }
    assert_eq!(world.read(&format!("/lib/modules/{K}/kernel/own.ko")), "OWN");
    assert!(!world.has(&format!("/var/lib/dkms/m/1.0/{K}/{}/.dep_evil", *A)));
}

#[test]
fn patch_that_is_a_link_is_not_read() {
    let Some(world) = walled("strict") else { return };
    world.write("/root/secret.patch", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-SECRET\n+y\n");
    let package = world.package("m", "1.0").conf("PATCH[0]=p.patch");
    fs::create_dir(package.dir.join("patches")).unwrap();
    std::os::unix::fs::symlink(world.path("/root/secret.patch"), package.dir.join("patches/p.patch"))
        .unwrap();
    world.dkms(&["build", "m/1.0"]).exits(7).complains("patches/p.patch of m/1.0");
    assert!(!world.read("/var/lib/dkms/m/1.0/build/make.log").contains("SECRET"));
}

#[rstest]
#[case::password("MAKE=\"make PIN=$KBUILD_SIGN_PIN\"")]
#[case::password_by_bash("MAKE=\"make $(echo PIN=$KBUILD_SIGN_PIN)\"")]
#[case::key("MAKE=\"make PIN=$(cat $dkms_tree/mok.key | tr -cd A-Z)\"")]
#[case::key_of_a_closed_conf("chmod 600 dkms.conf; MAKE=\"make PIN=$(cat $dkms_tree/mok.key | tr -cd A-Z)\"")]
fn conf_learns_no_secret(#[case] conf: &str) {
    let Some(mut world) = walled("strict") else { return };
    let (first, conf) = conf.split_once("; ").unwrap_or(("", conf));
    let package = world.package("m", "1.0").conf(conf);
    if first.starts_with("chmod") {
        fs::set_permissions(package.dir.join("dkms.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    world.set("KBUILD_SIGN_PIN", "s3cret");
    world.ok(&["build", "m/1.0"]);
    let log = world.read(&format!("/var/lib/dkms/m/1.0/{K}/{}/log/make.log", *A));
    assert!(log.lines().any(|line| line.contains(" PIN=") && line.ends_with(" PIN=")), "{log}");
}

/// What a strict umask leaves behind.
#[rstest]
#[case::source("/usr/src/m-1.0")]
#[case::sources("/usr/src")]
#[case::tree("/var/lib/dkms")]
#[case::kernels("/lib/modules")]
#[case::conf("/usr/src/m-1.0/dkms.conf")]
fn closed_places_are_opened_for_the_build(#[case] path: &str) {
    let Some(world) = walled("strict") else { return };
    world.package("m", "1.0").file("version", "7").conf("MAKE=\"make $(uname -s) as expected\"");
    let mode = if path.ends_with("conf") { 0o600 } else { 0o700 };
    fs::set_permissions(world.path(path), fs::Permissions::from_mode(mode)).unwrap();
    world.ok(&["install", "m/1.0"]);
    let log = world.read(&format!("/var/lib/dkms/m/1.0/{K}/{}/log/make.log", *A));
    assert!(log.contains("Linux as expected"), "{log}");
}

#[rstest]
#[case::nested("perl -e 'for (1..3000) { mkdir q(d) or exit; chdir q(d) or exit }'; exit 1")]
#[case::log_cut("echo x >/dev/stderr; cat $DKMS_ROOT/root/private || exit 1")]
fn odd_remains_are_cleared(#[case] recipe: &str) {
    let Some(world) = walled("strict") else { return };
    world.package("m", "1.0").recipe(recipe);
    let ended = world.dkms(&["build", "m/1.0"]);
    ended.exits(10).is_silent_about("u{0").is_silent_about("0000");
    assert!(world.has("/var/lib/dkms/m/1.0/build/make.log"));
    fs::remove_file(world.path("/usr/src/m-1.0/recipe")).unwrap();
    world.ok(&["install", "m/1.0"]);
    world.ok(&["remove", "m/1.0", "--all"]);
}

#[test]
fn module_larger_than_any_is_refused() {
    let Some(world) = walled("strict") else { return };
    world.package("m", "1.0").recipe("cp m.ko.in m.ko; truncate -s 3G m.ko; rm m.ko.in");
    world.dkms(&["build", "m/1.0"]).complains("no module is larger than 1024 MiB");
}

#[test]
fn file_that_is_there_for_others_is_a_reason_to_try_again() {
    let Some(world) = walled("auto") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("firmware");
    fs::write(&file, "blob").unwrap();
    world.package("m", "1.0").recipe(&format!("cat {} >copy || exit 1", file.display()));
    world.ok(&["build", "m/1.0"]).complains("does not build in isolation");
}

#[test]
fn conf_is_read_behind_walls() {
    let Some(world) = walled("auto") else { return };
    let attempts = "touch $DKMS_ROOT/etc/made; cat $DKMS_ROOT/var/lib/dkms/mok.key >/dev/null && touch read; \
                    cache=$(mktemp) && echo x >$cache && rm $cache || exit 1";
    world.package("m", "1.0").conf(&format!("{{ {attempts}; }} 2>/dev/null"));
    world.ok(&["install", "m/1.0"]);
    assert!(!world.has("/etc/made"));
    assert!(!world.has("/usr/src/m-1.0/read"));
}

/// Each is what dkms.conf files in the field do.
#[rstest]
#[case::distribution("[ \"$(. /etc/os-release; echo $ID)\" ] && [ \"$(sh -c 'echo x')\" = x ]")]
#[case::file_beside("[ \"$(cat ${BASH_SOURCE%/*}/version)\" = 7 ]")]
#[case::cache_beside("echo x >${BASH_SOURCE%/*}/cache || true; true")]
#[case::headers("[ -e $kernel_source_dir ] && [ \"$(ls -d $kernel_source_dir)\" ]")]
#[case::tree("[ \"$(ls -d $dkms_tree/other/*.0)\" = $dkms_tree/other/1.0 ]")]
#[case::dkms("dkms status -m other | grep -q installed")]
#[case::module_of_the_kernel(
    "PATH=$PATH:/sbin:/usr/sbin; modinfo $install_tree/$kernelver/updates/dkms/other.ko >/dev/null"
)]
#[case::git("[ \"$(git -C ${BASH_SOURCE%/*} describe --tags)\" = v7 ]")]
#[case::git_from_inside("[ \"$(cd ${BASH_SOURCE%/*} && git rev-parse --abbrev-ref HEAD)\" ]")]
#[case::missing_program("[ \"$(no-such-program 2>/dev/null || echo none)\" = none ]")]
#[case::release_of_the_kernel("[ $(echo $kernelver | cut -d. -f1) -ge 6 ] && uname -r >/dev/null")]
#[case::configuration("grep -q . $kernel_config || true")]
#[case::package_manager("dpkg-query -W -f '${Version}' bash 2>/dev/null || rpm -q bash 2>/dev/null || true")]
#[case::processors("[ $(nproc) -ge 1 ] && [ $(getconf _NPROCESSORS_ONLN) -ge 1 ]")]
#[case::who_am_i("id -u >/dev/null && whoami >/dev/null && hostname >/dev/null || true")]
#[case::temporary_file("t=$(mktemp) && echo y >$t && [ $(cat $t) = y ]")]
#[case::process_substitution("read x < <(echo z) && [ $x = z ]")]
#[case::standard_error("echo note >/dev/stderr && echo note >/dev/null")]
#[case::here_document("[ \"$(cat <<<text)\" = text ]")]
fn conf_does_what_confs_do(#[case] condition: &str) {
    let Some(world) = walled("strict") else { return };
    let package = world.package("m", "1.0").file("version", "7\n");
    let git =
        "git init -q && git add version && git -c user.name=n -c user.email=e commit -qm m && git tag v7";
    world.shell(&format!("cd {} && {git}", package.dir.display())).exits(0);
    package.conf(&format!("{condition} && MAKE=\"make as expected\""));
    world.ok(&["build", "m/1.0"]);
    let log = world.read(&format!("/var/lib/dkms/m/1.0/{K}/{}/log/make.log", *A));
    assert!(log.contains("as expected"), "{log}");
}

#[rstest]
#[case::temporary_file("t=$(mktemp) && echo y >$t")]
#[case::home("(cd && touch here)")]
#[case::standard_error("echo note >/dev/stderr")]
#[case::own_log("cat make.log >/dev/null")]
#[case::moving("mkdir -p a/b && touch a/b/x && mv a/b c && rm -r c")]
#[case::other_source("[ -r $DKMS_ROOT/usr/src/other-1.0/dkms.conf ]")]
#[case::source_is_a_copy("touch $DKMS_ROOT/usr/src/m-1.0/made")]
#[case::asks_dkms("dkms status -m m | grep -q m/1.0")]
fn build_does_what_builds_do(#[case] step: &str) {
    let Some(world) = walled("strict") else { return };
    world.package("m", "1.0").recipe(&format!("{{ {step}; }} || exit 2"));
    world.ok(&["install", "m/1.0"]);
    assert!(!world.has("/usr/src/m-1.0/made"));
}

#[test]
fn dependencies_are_seen_by_those_who_declare_them() {
    let Some(world) = walled("strict") else { return };
    let reads =
        format!("cat $DKMS_ROOT/var/lib/dkms/other/1.0/{K}/{}/module/other.ko >/dev/null || exit 2", *A);
    world.package("m", "1.0").conf("BUILD_DEPENDS=other").recipe(&reads);
    world.ok(&["install", "m/1.0"]);
    world.package("n", "1.0").recipe(&reads);
    world.dkms(&["install", "n/1.0"]).exits(10).complains("Permission denied");
}

#[test]
fn full_check_says_which_walls_stand() {
    let Some(world) = walled("strict") else { return };
    world
        .dkms(&["check", "--full"])
        .says("Builds are isolated (strict) by ")
        .says("a read-only view of the files");
    let text = world.dkms(&["check", "--full", "--format", "json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["isolation"]["policy"], "strict");
    world.write("/etc/dkms/framework.conf.d/00-world.conf", "build_isolation=off\n");
    world.dkms(&["check", "--full"]).says("Builds are not isolated");
}
