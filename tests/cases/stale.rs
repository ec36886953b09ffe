//! A build is made again when what it was made from has changed, and a failed one is not retried before that.

use crate::world::elf;
use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;

fn makes(world: &World) -> usize {
    world.calls("make").iter().filter(|call| !call.contains("clean")).count()
}

fn headers(world: &World, symbols: &str, compiler: &str) {
    world.kernel(K).headers().config(&format!("CONFIG_CC_VERSION_TEXT=\"{compiler}\"\nCONFIG_MODULES=y\n"));
    world.write(&format!("/lib/modules/{K}/build/Module.symvers"), symbols);
}

/// `m` is installed for a kernel with complete headers.
fn installed() -> World {
    let world = World::new();
    headers(&world, "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "gcc 12");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    assert_eq!(makes(&world), 1);
    world
}

fn module(world: &World) -> Vec<u8> {
    fs::read(world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"))).unwrap()
}

#[rstest]
#[case::symbols(
    "0x2\tprintk\tvmlinux\tEXPORT_SYMBOL\n",
    "gcc 12",
    "",
    "",
    "the kernel's headers have changed"
)]
#[case::compiler("", "gcc 13", "", "", "another compiler")]
#[case::source("", "", "m.c", "int new;", "its source has changed")]
#[case::overrides("", "", "", "STRIP=no", "/etc/dkms")]
fn what_changed_is_reported_and_built_again(
    #[case] symbols: &str,
    #[case] compiler: &str,
    #[case] file: &str,
    #[case] overrides: &str,
    #[case] why: &str,
    #[values("autoinstall", "install", "kernel-postinst", "header-postinst", "boot")] caller: &str,
) {
    let world = installed();
    if !symbols.is_empty() || !compiler.is_empty() {
        let symbols = if symbols.is_empty() { "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\n" } else { symbols };
        headers(&world, symbols, compiler);
    }
    if !file.is_empty() {
        world.write(&format!("/usr/src/m-1.0/{file}"), "int new;");
    }
    if !overrides.is_empty() {
        world.write("/etc/dkms/m.conf", overrides);
    }
    let run = |world: &World| match caller {
        "autoinstall" => world.ok(&["autoinstall"]),
        "install" => world.ok(&["install", "m/1.0"]),
        "boot" => world.hook("boot", &[]),
        hook => world.hook(hook, &[K]),
    };
    let depmods = world.depmods(K);
    run(&world).exits(0).complains(why);
    assert_eq!((makes(&world), world.depmods(K)), (2, depmods + 1));
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    run(&world).exits(0).is_silent_about("is rebuilt");
    assert_eq!((makes(&world), world.depmods(K)), (2, depmods + 1), "it is up to date now");
}

/// The day of a driver's author: edit, install, and nothing else.
#[rstest]
#[case::install(&["install m/1.0"])]
#[case::install_by_force(&["install --force m/1.0"])]
#[case::build_then_install(&["build m/1.0", "install m/1.0"])]
#[case::by_path(&["install /usr/src/m-1.0 --force"])]
fn edit_reaches_the_kernel_by_name(#[case] lines: &[&str]) {
    let world = installed();
    world.write("/usr/src/m-1.0/m.ko.in", elf::versioned("m", "1.0", "EDITED"));
    for line in lines {
        let line: Vec<String> = line.split(' ').map(|word| in_world(&world, word)).collect();
        world.ok(&line.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(makes(&world), 2);
    assert_eq!(module(&world), fs::read(world.path("/usr/src/m-1.0/m.ko.in")).unwrap());
    world.ok(&["install", "m/1.0"]).says("already installed");
    world.ok(&["build", "m/1.0"]).says("already built");
    assert_eq!(makes(&world), 2, "it is up to date now");
    world.dkms(&["check"]).is_silent_about("has changed");
}

fn in_world(world: &World, word: &str) -> String {
    if word.starts_with('/') { world.path(word).display().to_string() } else { word.to_owned() }
}

#[rstest]
#[case::install(&["install", "m/1.0"])]
#[case::install_by_force(&["install", "--force", "m/1.0"])]
#[case::build(&["build", "m/1.0"])]
fn edit_that_fails_to_compile_keeps_the_module(#[case] words: &[&str]) {
    let world = installed();
    let before = module(&world);
    world.write("/usr/src/m-1.0/recipe", "echo 'm.c:1: error: no' >&2; exit 2");
    for _ in 0..2 {
        world.dkms(words).exits(10).complains("m.c:1: error: no");
        assert_eq!(module(&world), before);
    }
    world.dkms(&["install", "--force", "m/1.0"]).exits(10);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn earlier_build_is_installed_with_a_warning() {
    let world = installed();
    world.program("make", "echo 'm.c:1: error: machine is out of luck' >&2; exit 2");
    world.dkms(&["build", "--force", "m/1.0"]).exits(10);
    world.ok(&["install", "--force", "m/1.0"]).complains("the last build failed").complains("an earlier one");
}

/// What cannot be built again is installed as it is.
#[rstest]
#[case::no_headers("rm -r {root}/lib/modules/{K}/build")]
#[case::no_source("")]
fn stale_build_that_cannot_be_remade_is_used(#[case] damage: &str) {
    let world = World::new();
    headers(&world, "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "gcc 12");
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]);
    if damage.is_empty() {
        // Only its dkms.conf is left, as a package of prebuilt modules has it.
        for entry in fs::read_dir(world.path("/usr/src/m-1.0")).unwrap().flatten() {
            if entry.file_name() != "dkms.conf" {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    } else {
        world.write("/usr/src/m-1.0/m.c", "int new;");
        world
            .shell(&damage.replace("{root}", &world.root().display().to_string()).replace("{K}", K))
            .exits(0);
    }
    world.ok(&["install", "m/1.0"]);
    assert_eq!(makes(&world), 1);
}

#[test]
fn rewritten_file_is_no_change() {
    let world = installed();
    let record = format!("/var/lib/dkms/m/1.0/{K}/{}/.dkms-build.json", *A);
    let before = world.read(&record);
    for file in ["m.ko.in", "dkms.conf"] {
        let path = world.path(format!("/usr/src/m-1.0/{file}"));
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, content).unwrap();
    }
    headers(&world, "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "gcc 12");
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 1);
    let after = world.read(&record);
    assert_ne!(before, after, "the record tells the new times");
    world.ok(&["autoinstall"]);
    assert_eq!(world.read(&record), after);
}

#[test]
fn old_module_stays_until_the_new_one_works() {
    let world = installed();
    let old = module(&world);
    let source = world.path("/usr/src/m-1.0");
    fs::write(
        source.join("recipe"),
        "cp \"$DKMS_SCRATCH/../root/lib/modules/$kernelver/updates/dkms/m.ko\" \"$DKMS_SCRATCH/seen\"; exit 2\n",
    )
    .unwrap();
    world.dkms(&["autoinstall"]).exits(11);
    assert_eq!(fs::read(world.scratch("seen")).unwrap(), old, "it is there while the new one is built");
    assert_eq!(module(&world), old);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    world.dkms(&["autoinstall"]).exits(11).complains("will not retry it automatically");
    assert_eq!((makes(&world), module(&world)), (2, old));
    fs::remove_file(source.join("recipe")).unwrap();
    fs::write(source.join("m.ko.in"), crate::world::elf::versioned("m", "1.1", "NEW")).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!(module(&world), fs::read(source.join("m.ko.in")).unwrap());
}

#[rstest]
#[case::not_autoinstall("AUTOINSTALL=no")]
#[case::unwanted("BUILD_EXCLUSIVE_KERNEL=^7")]
fn what_needs_no_automatic_build_stays(#[case] conf: &str) {
    let world = installed();
    let file = world.path("/usr/src/m-1.0/dkms.conf");
    fs::write(&file, format!("{}{conf}\n", fs::read_to_string(&file).unwrap())).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 1);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
}

#[test]
fn without_headers_or_record_nothing_is_stale() {
    let world = installed();
    world.write("/usr/src/m-1.0/m.c", "int new;");
    fs::rename(world.path(format!("/lib/modules/{K}/build")), world.scratch("build")).unwrap();
    world.ok(&["autoinstall"]);
    fs::rename(world.scratch("build"), world.path(format!("/lib/modules/{K}/build"))).unwrap();
    fs::remove_file(world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/.dkms-build.json", *A))).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 1);
}

#[test]
fn stale_build_is_remade_before_its_installation() {
    let world = World::new();
    headers(&world, "1\n", "gcc 12");
    world.package("m", "1.0");
    world.ok(&["build", "m/1.0"]);
    headers(&world, "2\n", "gcc 12");
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 2);
}

#[test]
fn changed_exports_rebuild_the_user_at_once() {
    let world = World::new();
    headers(&world, "1\n", "gcc 12");
    let recipe = "cp exported Module.symvers";
    world.package("lib", "1.0").recipe(recipe).file("exported", "0x1 f lib\n");
    world.package("user", "1.0").conf("BUILD_DEPENDS=lib\nBUILD_DEPENDS_REBUILD=yes");
    world.ok(&["install", "lib/1.0"]);
    world.ok(&["install", "user/1.0"]);
    world.write("/usr/src/lib-1.0/readme", "no other symbols");
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 3, "the user of the same symbols stays");
    world.write("/usr/src/lib-1.0/exported", "0x2 f lib\n");
    world.ok(&["autoinstall"]).says("exports something else");
    assert_eq!(makes(&world), 5);
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 5);
}

#[test]
fn damaged_module_or_build_is_made_again() {
    let world = installed();
    let path = world.path(format!("/lib/modules/{K}/updates/dkms/m.ko"));
    let whole = fs::read(&path).unwrap();
    let damaged: Vec<u8> = whole.iter().map(|byte| byte ^ 1).collect();
    fs::write(&path, &damaged).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!((fs::read(&path).unwrap(), makes(&world)), (whole.clone(), 1));
    fs::write(&path, &damaged).unwrap();
    fs::write(world.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A)), &damaged).unwrap();
    world.ok(&["autoinstall"]).complains("what was built is damaged");
    assert_eq!((fs::read(&path).unwrap(), makes(&world)), (whole, 2));
}

fn failing(recipe: &str) -> World {
    let world = World::new();
    headers(&world, "1\n", "gcc 12");
    world.package("m", "1.0").recipe(recipe);
    world.ok(&["add", "m/1.0"]);
    world.dkms(&["autoinstall"]).exits(11).complains("Bad return status");
    assert_eq!(makes(&world), 1);
    world
}

#[test]
fn failed_build_is_not_retried_but_reported() {
    let world = failing("echo 'm.c:1: error: no such thing' >&2; exit 2");
    for _ in 0..2 {
        world
            .dkms(&["autoinstall"])
            .exits(11)
            .complains("nothing has changed since, so dkms will not retry it automatically")
            .complains("m.c:1: error: no such thing")
            .complains("m/1.0/build/make.log")
            .complains(&format!("To try again: dkms install m/1.0 -k {K}/{}", *A));
    }
    world
        .hook("kernel-postinst", &[K])
        .exits(0)
        .complains("could not be built")
        .complains("nothing has changed since");
    world.hook("boot", &[]).exits(1).complains("could not be built");
    assert_eq!(makes(&world), 1);
}

#[rstest]
#[case::forced(&["autoinstall", "--force"])]
#[case::by_hand(&["build", "m/1.0"])]
#[case::installed_by_hand(&["install", "m/1.0"])]
fn asking_for_it_tries_it_again(#[case] args: &[&str]) {
    let world = failing("exit 2");
    world.dkms(args);
    assert_eq!(makes(&world), 2);
    world.dkms(&["autoinstall"]).exits(11);
    assert_eq!(makes(&world), 2, "and it is remembered again");
}

#[test]
fn changed_package_is_retried_until_it_succeeds() {
    let world = failing("exit 2");
    headers(&world, "2\n", "gcc 12");
    world.dkms(&["autoinstall"]).exits(11);
    assert_eq!(makes(&world), 2);
    world.program("gcc", "exit 0");
    world.dkms(&["autoinstall"]).exits(11);
    assert_eq!(makes(&world), 3, "another compiler is another build");
    fs::remove_file(world.path("/usr/src/m-1.0/recipe")).unwrap();
    world.ok(&["autoinstall"]);
    assert!(!world.tree().iter().any(|name| name.contains("failed")), "{:#?}", world.tree());
}

#[test]
fn failure_of_the_machine_is_retried() {
    let world = failing("echo 'as: No space left on device' >&2; exit 2");
    world.dkms(&["autoinstall"]).exits(11);
    assert_eq!(makes(&world), 2);
}

#[test]
fn memory_goes_with_package_and_with_the_kernel() {
    let world = failing("exit 2");
    let has = || world.tree().iter().any(|name| name.contains("failed"));
    assert!(has());
    world.hook("kernel-prerm", &[K]).exits(0);
    assert!(!has(), "{:#?}", world.tree());
    world.dkms(&["autoinstall"]).exits(11);
    assert!(has());
    world.ok(&["remove", "m/1.0", "--all"]);
    assert_eq!(world.tree(), Vec::<String>::new());
}

#[test]
fn reinstalled_kernel_builds_only_what_changed() {
    let world = installed();
    let old = module(&world);
    world.hook("kernel-preinst", &[K]).exits(0);
    assert_eq!(module(&world), old);
    world.hook("kernel-postinst", &[K]).exits(0);
    world.hook("header-postinst", &[K]).exits(0);
    assert_eq!(makes(&world), 1, "the same headers");
    world.hook("kernel-preinst", &[K]).exits(0);
    headers(&world, "0x2\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "gcc 12");
    world.hook("kernel-postinst", &[K]).exits(0);
    world.hook("header-postinst", &[K]).exits(0);
    assert_eq!(makes(&world), 2);
}

/// Headers beside the build directory, as Debian has them, and a compiler of the package's choice.
fn with_headers_and_compiler() -> World {
    let world = World::new();
    world.program("kernel-gcc", "exit 0 # 1");
    headers(&world, "0x1\tprintk\tvmlinux\tEXPORT_SYMBOL\n", "kernel-gcc 12");
    world.write(HEADER, "#define OLD\n");
    std::os::unix::fs::symlink("../../../usr/src/common", world.path(format!("/lib/modules/{K}/source")))
        .unwrap();
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 1);
    world
}

const HEADER: &str = "/usr/src/common/include/linux/module.h";

#[rstest]
#[case::header(HEADER, "the kernel's headers have changed")]
#[case::new_header("/usr/src/common/include/linux/new.h", "the kernel's headers have changed")]
#[case::generated(
    "/lib/modules/6.1.0-1-amd64/build/include/generated/uapi/linux/version.h",
    "the kernel's headers have changed"
)]
#[case::compiler("../bin/kernel-gcc", "the compiler has changed")]
fn other_headers_and_another_compiler_are_noticed(#[case] file: &str, #[case] why: &str) {
    let world = with_headers_and_compiler();
    if file.starts_with("..") {
        world.program("kernel-gcc", "exit 0 # 2");
    } else {
        world.write(file, "#define NEW 1\n");
    }
    world.dkms(&["check"]).says(why);
    world.ok(&["autoinstall"]).complains(why);
    assert_eq!(makes(&world), 2);
    world.ok(&["autoinstall"]).is_silent_about("is rebuilt");
    assert_eq!(makes(&world), 2);
}

#[test]
fn reinstalled_compiler_and_headers_are_no_change() {
    let world = with_headers_and_compiler();
    world.program("kernel-gcc", "exit 0 # 1");
    let header = world.path(HEADER);
    let time = fs::metadata(&header).unwrap().modified().unwrap();
    fs::remove_file(&header).unwrap();
    world.write(HEADER, "#define OLD\n");
    fs::File::options().write(true).open(&header).unwrap().set_modified(time).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 1);
}

/// Compiled with another one, or with other headers by a run that names them: that is no reason to compile.
#[test]
fn missing_compiler_is_no_reason_to_rebuild() {
    let world = with_headers_and_compiler();
    fs::remove_file(world.scratch("../bin/kernel-gcc")).unwrap();
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), 1);
    let given = world.path("/usr/src/given");
    fs::create_dir_all(given.join("include/linux")).unwrap();
    fs::write(given.join("include/linux/a.h"), "").unwrap();
    let option = format!("--kernelsourcedir={}", given.display());
    world.ok(&["build", "--force", "m/1.0", &option]);
    world.ok(&["install", "--force", "m/1.0"]);
    let made = makes(&world);
    world.ok(&["autoinstall"]);
    assert_eq!(makes(&world), made);
}

#[test]
fn build_that_writes_into_headers_is_made_once() {
    let world = World::new();
    headers(&world, "", "gcc 12");
    let header = world.path(format!("/lib/modules/{K}/build/include/generated/prepared.h"));
    fs::create_dir_all(header.parent().unwrap()).unwrap();
    world.package("m", "1.0").recipe(&format!("echo x >> {}", header.display()));
    world.ok(&["install", "m/1.0"]);
    for _ in 0..2 {
        world.ok(&["autoinstall"]);
        assert_eq!(makes(&world), 1);
    }
}

#[test]
fn failed_build_is_tried_again_with_other_headers() {
    let world = World::new();
    headers(&world, "", "gcc 12");
    world.write(HEADER, "#define OLD\n");
    std::os::unix::fs::symlink("../../../usr/src/common", world.path(format!("/lib/modules/{K}/source")))
        .unwrap();
    world.package("m", "1.0").recipe("exit 2");
    world.ok(&["add", "m/1.0"]);
    world.dkms(&["autoinstall"]).exits(11);
    world.dkms(&["autoinstall"]).exits(11).complains("will not retry it automatically");
    world.write(HEADER, "#define NEW 1\n");
    world.dkms(&["autoinstall"]).exits(11).is_silent_about("will not retry it automatically");
}
