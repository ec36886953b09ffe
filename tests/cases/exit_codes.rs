//! The exit codes that callers test: one case for each condition that has a code of its own, with the first words that
//! are said about it. Conditions of dkms 3.4.3 that were defects have the code that is right instead.

use crate::world::{A, K, World};
use std::fs;

type Act = fn(&mut World) -> crate::world::Ended;

const SLASH_M: &str = "m/1.0";

/// The package m/1.0 in the source tree.
fn package(world: &World) -> crate::world::Package {
    world.package("m", "1.0")
}

fn run(world: &World, args: &[&str]) -> crate::world::Ended {
    world.dkms(args)
}

/// With the package first brought as far as `action` brings it.
fn after(world: &World, action: &str, args: &[&str]) -> crate::world::Ended {
    package(world);
    world.ok(&[action, SLASH_M]);
    world.dkms(args)
}

/// With these lines in its dkms.conf.
fn with_conf(world: &World, lines: &str, args: &[&str]) -> crate::world::Ended {
    package(world).conf(lines);
    world.dkms(args)
}

fn archive(world: &World, name: &str, script: &str) -> String {
    let path = world.scratch(name);
    world.shell(&format!("mkdir -p t && cd t && {script} && tar cf {} .", path.display())).exits(0);
    path.to_str().unwrap().to_owned()
}

const TABLE: &[(&str, i32, &str, Act)] = &[
    // 0
    ("success", 0, "", |w| after(w, "add", &["build", SLASH_M])),
    ("built_already", 0, "", |w| after(w, "build", &["build", SLASH_M])),
    ("installed_already", 0, "", |w| after(w, "install", &["install", SLASH_M])),
    ("nothing_to_do", 0, "", |w| run(w, &["autoinstall"])),
    ("nothing_built_for_all", 0, "", |w| after(w, "add", &["unbuild", SLASH_M, "--all"])),
    ("help", 0, "", |w| run(w, &["--help"])),
    ("version", 0, "", |w| run(w, &["--version"])),
    ("status_of_unknown", 0, "", |w| run(w, &["status", "unknown/1"])),
    ("status_of_a_broken_one", 0, "m/1.0 is broken!", |w| {
        package(w);
        w.ok(&["add", SLASH_M]);
        fs::remove_dir_all(w.path("/usr/src/m-1.0")).unwrap();
        run(w, &["status"])
    }),
    ("upgrade_is_not_a_removal", 0, "not removed", |w| {
        package(w);
        w.ok(&["add", "--rpm_safe_upgrade", SLASH_M]);
        run(w, &["remove", "--rpm_safe_upgrade", SLASH_M, "--all"])
    }),
    ("deferred", 0, "", |w| {
        package(w).conf("BUILD_DEPENDS=unknown");
        w.ok(&["add", SLASH_M]);
        run(w, &["autoinstall"])
    }),
    ("binaries_only_without_source", 0, "", |w| {
        let build = format!("dkms_main_tree/{K}/{}/module", *A);
        let conf = "printf 'PACKAGE_NAME=m\\nPACKAGE_VERSION=1.0\\nBUILT_MODULE_NAME=m\\nDEST_MODULE_LOCATION=/extra\\n' > dkms_binaries_only/dkms.conf";
        let tar = archive(
            w,
            "b",
            &format!("mkdir -p {build} dkms_binaries_only && {conf} && echo x > {build}/m.ko"),
        );
        run(w, &["ldtarball", &tar])
    }),
    // 1
    ("not_root_install", 1, "You must be root", |w| {
        package(w);
        w.as_stranger(&["install", SLASH_M])
    }),
    ("not_root_autoinstall", 1, "You must be root", |w| w.as_stranger(&["autoinstall"])),
    ("not_root_match", 1, "You must be root", |w| w.as_stranger(&["match", "--templatekernel", "x"])),
    ("not_root_kernel_prerm", 1, "You must be root", |w| w.as_stranger(&["kernel_prerm", "-k", K])),
    ("not_root_ldtarball_force", 1, "You must be root", |w| w.as_stranger(&["ldtarball", "--force", "x"])),
    ("tree_not_writable_add", 1, "Cannot write to", |w| {
        package(w);
        w.as_ordinary_user(&["add", SLASH_M], &[])
    }),
    ("tree_not_writable_build", 1, "Cannot write to", |w| {
        package(w);
        w.as_ordinary_user(&["build", SLASH_M], &[])
    }),
    ("sources_not_writable", 1, "Cannot write to", |w| {
        let dir = w.scratch("d");
        w.package_in(&dir, "m", "1.0");
        w.as_ordinary_user(&["add", dir.to_str().unwrap()], &["/var/lib/dkms"])
    }),
    ("no_module", 1, "Arguments <module> and <module-version> are not specified.", |w| run(w, &["add"])),
    ("no_version", 1, "Arguments <module> and <module-version> are not specified.", |w| {
        run(w, &["remove", "m"])
    }),
    ("arches_and_kernels", 1, "3 kernel(s)", |w| {
        run(w, &["build", SLASH_M, "-k", "a", "-k", "b", "-k", "c", "-a", "x", "-a", "y"])
    }),
    ("match_without_template", 1, "Couldn't find template kernel", |w| run(w, &["match", "-k", "a"])),
    ("generate_mok_failed", 1, "openssl", |w| {
        w.program("openssl", "echo openssl is unwell >&2; exit 1");
        run(w, &["generate_mok"])
    }),
    ("unusable_tmpdir_is_not_needed", 0, "", |w| {
        package(w);
        w.set("TMPDIR", "/nonexistent");
        run(w, &["install", SLASH_M])
    }),
    // 2
    ("unknown_option", 2, "Unknown option: --bogus", |w| run(w, &["--bogus"])),
    ("kernel_and_all", 2, "You cannot specify a kernel version and also specify --all", |w| {
        run(w, &["remove", SLASH_M, "-k", K, "--all"])
    }),
    ("template_is_the_kernel", 2, "The templatekernel and the specified kernel version are the same.", |w| {
        run(w, &["match", "-k", K, "--templatekernel", K])
    }),
    ("source_missing", 2, "Could not find module source directory.", |w| run(w, &["add", SLASH_M])),
    ("tarball_missing", 2, "does not exist", |w| run(w, &["ldtarball", "--archive", "/no/such.tar"])),
    ("no_tarball", 2, "No tarball was given.", |w| run(w, &["ldtarball"])),
    ("common_postinst_tarball", 2, "Unable to load the DKMS tarball", |w| {
        w.write("/share/m-1.0.dkms.tar.gz", "no tarball");
        w.hook("common-postinst", &["m", "1.0", "/share"])
    }),
    ("autoinstaller_verb", 2, "Usage: dkms_autoinstaller", |w| w.hook("dkms-autoinstaller", &["bogus"])),
    ("unknown_action", 2, "Unknown action specified: frobnicate", |w| run(w, &["frobnicate"])),
    ("no_action", 2, "No action was specified.", |w| run(w, &[])),
    // 3
    ("arch_and_all", 3, "You cannot specify an arch and also specify --all", |w| {
        run(w, &["remove", SLASH_M, "-a", "x", "--all"])
    }),
    ("already_added", 3, "DKMS tree already contains: m/1.0", |w| after(w, "add", &["add", SLASH_M])),
    ("not_in_tree", 3, "The module/version combo: m/1.0 is not located in the DKMS tree.", |w| {
        run(w, &["remove", SLASH_M])
    }),
    ("match_of_an_unknown_package", 3, "The module m is not located in the DKMS tree.", |w| {
        run(w, &["match", "-k", K, "--templatekernel", "x", "-m", "m"])
    }),
    ("tarball_without_conf", 3, "does not contain a dkms.conf", |w| {
        let tar = archive(w, "t.tar", "echo x > README");
        run(w, &["ldtarball", &tar])
    }),
    ("debris_in_the_place_of_a_build", 0, "", |w| {
        package(w);
        w.ok(&["add", SLASH_M]);
        w.write(&format!("/var/lib/dkms/m/1.0/{K}/{}/log/x", *A), "");
        run(w, &["build", SLASH_M])
    }),
    // 4
    ("two_actions", 4, "Cannot specify more than one action.", |w| run(w, &["add", "build"])),
    ("no_os_release", 0, "", |w| {
        fs::remove_file(w.path("/etc/os-release")).unwrap();
        package(w);
        run(w, &["install", SLASH_M])
    }),
    ("conf_not_found", 4, "Could not locate dkms.conf file.", |w| {
        w.write("/usr/src/m-1.0/m.c", "");
        run(w, &["add", SLASH_M])
    }),
    ("given_conf_not_found", 4, "Could not locate dkms.conf file.", |w| {
        package(w);
        run(w, &["add", SLASH_M, "-c", "/no/such"])
    }),
    ("several_kernels", 4, "does not support multiple kernel", |w| {
        run(w, &["autoinstall", "-k", "a", "-k", "b"])
    }),
    ("kernel_action_without_a_kernel", 4, "requires exactly one kernel version", |w| {
        run(w, &["kernel_postinst"])
    }),
    ("broken", 4, "m/1.0 is broken!", |w| {
        package(w);
        w.ok(&["add", SLASH_M]);
        fs::remove_dir_all(w.path("/usr/src/m-1.0")).unwrap();
        run(w, &["build", SLASH_M])
    }),
    // 5
    ("all_is_not_for_build", 5, "does not support the --all parameter", |w| {
        run(w, &["build", SLASH_M, "--all"])
    }),
    ("patch_missing", 5, "Patch a.patch as specified in dkms.conf cannot be found.", |w| {
        with_conf(w, "PATCH=a.patch", &["build", SLASH_M])
    }),
    ("patch_outside", 5, "Patch ../a.patch", |w| with_conf(w, "PATCH=../a.patch", &["build", SLASH_M])),
    // 6
    ("patch_failed", 6, "Application of patch a.patch failed.", |w| {
        package(w).conf("PATCH=a.patch").file("patches/a.patch", "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n");
        run(w, &["build", SLASH_M])
    }),
    ("kernel_missing", 6, "doesn't exist", |w| {
        package(w);
        w.ok(&["build", SLASH_M]);
        fs::remove_dir_all(w.path(format!("/lib/modules/{K}"))).unwrap();
        run(w, &["install", SLASH_M])
    }),
    ("built_module_missing", 6, "Missing module", |w| {
        package(w);
        w.ok(&["build", SLASH_M]);
        fs::remove_file(w.path(format!("/var/lib/dkms/m/1.0/{K}/{}/module/m.ko", *A))).unwrap();
        run(w, &["install", SLASH_M])
    }),
    ("copy_failed", 6, "Could not install", |w| {
        package(w);
        w.write(&format!("/lib/modules/{K}/updates"), "a file");
        run(w, &["install", SLASH_M])
    }),
    ("no_module_installed", 6, "no module of m/1.0 was installed", |w| {
        package(w);
        w.kernel(K).module("kernel/drivers/misc/m.ko", "9.0", "X");
        run(w, &["install", SLASH_M])
    }),
    ("depmod", 6, "Problems with depmod", |w| {
        package(w);
        w.tool_does("depmod", "exit 1");
        run(w, &["install", SLASH_M])
    }),
    ("mktarball_of_nothing_built", 6, "", |w| after(w, "add", &["mktarball", SLASH_M])),
    ("mktarball_cannot_be_written", 6, "Failed to make", |w| {
        package(w);
        w.ok(&["build", SLASH_M]);
        run(w, &["mktarball", SLASH_M, "--archive", "x.tar.bz2"])
    }),
    // 7
    ("module_not_produced", 7, "Build of other.ko failed", |w| {
        with_conf(w, "BUILT_MODULE_NAME=other", &["build", SLASH_M])
    }),
    ("staging_incomplete", 7, "were made, and could not be stored", |w| {
        package(w);
        w.write("/etc/dkms/m.conf", "build_isolation=off\n");
        w.tool_does("strip", "rm -r \"${2%/*/*}\"");
        run(w, &["build", SLASH_M])
    }),
    ("tarball_without_package", 7, "does not contain a valid dkms_source_tree or dkms_binaries_only", |w| {
        let tar = archive(w, "t.tar", "mkdir dkms_main_tree");
        run(w, &["ldtarball", &tar])
    }),
    // 8
    ("binaries_and_source", 8, "You have specified both --binaries-only and --source-only.", |w| {
        run(w, &["mktarball", SLASH_M, "--binaries-only", "--source-only"])
    }),
    ("invalid_conf", 8, "dkms.conf: Error! ", |w| {
        with_conf(w, "DEST_MODULE_LOCATION=/elsewhere", &["add", SLASH_M])
    }),
    ("source_is_only_a_conf", 8, "", |w| {
        package(w).without("Makefile").without("m.ko.in");
        run(w, &["build", SLASH_M])
    }),
    ("tarballs_package_is_added", 8, "m/1.0 is already added", |w| {
        package(w);
        w.ok(&["build", SLASH_M]);
        let tar = w.scratch("x.tar");
        w.ok(&["mktarball", SLASH_M, "--archive", tar.to_str().unwrap()]);
        run(w, &["ldtarball", tar.to_str().unwrap()])
    }),
    // 9
    ("tarballs_place_not_writable", 9, "Cannot write", |w| {
        package(w);
        w.ok(&["build", SLASH_M]);
        let below = format!("{}/x/y.tar.gz", w.path("/etc/os-release").display());
        run(w, &["mktarball", SLASH_M, "--archive", &below])
    }),
    ("rpm_failed", 9, "Unable to install", |w| {
        w.program("rpm", "exit 1");
        fs::write(w.scratch("x.rpm"), "").unwrap();
        run(w, &["ldtarball", w.scratch("x.rpm").to_str().unwrap()])
    }),
    ("another_conf_is_no_source_tree", 3, "does not contain a dkms.conf", |w| {
        fs::write(w.scratch("x-dkms.conf"), "").unwrap();
        run(w, &["add", w.scratch("x-dkms.conf").to_str().unwrap()])
    }),
    // 10 to 77
    ("make_failed", 10, "Bad return status for module build on kernel", |w| {
        package(w).recipe("exit 2");
        run(w, &["build", SLASH_M])
    }),
    ("autoinstall_failed", 11, "One or more modules failed to install", |w| {
        package(w).recipe("exit 2");
        w.ok(&["add", SLASH_M]);
        run(w, &["autoinstall"])
    }),
    ("kernel_postinst_failed", 11, "One or more modules failed to install", |w| {
        package(w).recipe("exit 2");
        w.ok(&["add", SLASH_M]);
        run(w, &["kernel_postinst", "-k", K])
    }),
    ("autoinstall_unresolved", 11, "m/1.0 cannot be installed", |w| {
        package(w).conf("BUILD_DEPENDS=n");
        w.package("n", "1.0").conf("AUTOINSTALL=no");
        w.ok(&["add", SLASH_M]);
        w.ok(&["add", "n/1.0"]);
        run(w, &["autoinstall"])
    }),
    ("architecture_unknown", 12, "Could not determine architecture.", |w| {
        package(w);
        w.set("DKMS_UNAME_M", "");
        run(w, &["build", SLASH_M])
    }),
    ("dependency_missing", 13, "due to missing BUILD_DEPENDS: n.", |w| {
        with_conf(w, "BUILD_DEPENDS=n", &["build", SLASH_M])
    }),
    ("kernel_prerm_failed", 14, "Could not remove every module", |w| {
        w.kernel(K).module("kernel/drivers/misc/m.ko", "0.1", "X");
        package(w);
        w.ok(&["install", SLASH_M]);
        fs::remove_dir(w.path(format!("/lib/modules/{K}/kernel/drivers/misc"))).unwrap();
        w.write(&format!("/lib/modules/{K}/kernel/drivers/misc"), "a file");
        run(w, &["kernel_prerm", "-k", K])
    }),
    ("directory_gone", 15, "Unable to change to directory", |w| {
        package(w).conf("PRE_BUILD=tidy").script("tidy", "rm -rf \"$1\"/m/1.0/*/.tmp_*/build; true");
        let conf =
            w.read("/usr/src/m-1.0/dkms.conf").replace("PRE_BUILD=tidy", "PRE_BUILD='tidy $dkms_tree'");
        w.write("/usr/src/m-1.0/dkms.conf", conf);
        run(w, &["build", SLASH_M])
    }),
    ("empty_kernel", 16, "The kernel release or the architecture is empty.", |w| {
        run(w, &["build", SLASH_M, "-k", ""])
    }),
    ("empty_arch", 16, "The kernel release or the architecture is empty.", |w| {
        run(w, &["build", SLASH_M, "-a", ""])
    }),
    ("headers_missing", 21, "Your kernel headers for kernel", |w| {
        package(w);
        fs::remove_dir_all(w.path(format!("/lib/modules/{K}/build"))).unwrap();
        run(w, &["build", SLASH_M])
    }),
    ("excluded", 77, "Warning: ", |w| with_conf(w, "BUILD_EXCLUSIVE_KERNEL=^9", &["build", SLASH_M])),
    ("obsolete", 77, "Warning: ", |w| with_conf(w, "OBSOLETE_BY=5.0", &["build", SLASH_M])),
    // those of scripts
    ("pre_install", 101, "pre_install failed", |w| {
        package(w).conf("PRE_INSTALL=s").script("s", "exit 3");
        run(w, &["install", SLASH_M])
    }),
    ("pre_build", 43, "PRE_BUILD failed", |w| {
        package(w).conf("PRE_BUILD=s").script("s", "exit 43");
        run(w, &["build", SLASH_M])
    }),
    ("post_build", 44, "POST_BUILD failed", |w| {
        package(w).conf("POST_BUILD=s").script("s", "exit 44");
        run(w, &["install", SLASH_M])
    }),
    ("post_add", 45, "POST_ADD failed", |w| {
        package(w).conf("POST_ADD=s").script("s", "exit 45");
        run(w, &["add", SLASH_M])
    }),
];

#[test]
fn each_condition_has_its_code_and_its_words() {
    let wrong = std::sync::Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        while let Some((name, code, words, act)) =
            TABLE.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        {
            let ended = act(&mut World::new());
            if ended.code != Some(*code) || !ended.stderr.contains(words) {
                let text = format!("{name}: {:?}, not {code} with {words:?}\n{}", ended.code, ended.stderr);
                wrong.lock().unwrap().push(text);
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} wrong\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
}

#[test]
fn every_code_of_specification_is_in_the_table() {
    let codes: std::collections::BTreeSet<i32> = TABLE.iter().map(|(_, code, ..)| *code).collect();
    for code in (0..=16).chain([21, 77, 101]) {
        assert!(codes.contains(&code), "nothing produces {code}");
    }
}
