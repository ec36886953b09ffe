//! mkdeb, mkbmdeb, mkdsc and mkrpm: packages for other machines. dpkg-deb(1) is the real one; rpmbuild and dpkg-source are
//! where they are installed.

use crate::world::{A, K, World, line};
use rstest::rstest;
use std::fs;
use std::sync::LazyLock;

/// What Debian calls this machine's architecture.
static DEBIAN_ARCH: LazyLock<&str> = LazyLock::new(|| match A.as_str() {
    "x86_64" => "amd64",
    "aarch64" => "arm64",
    "ppc64le" => "ppc64el",
    other => other,
});

/// Kernels whose headers are the same on every machine.
fn with_headers() -> World {
    let world = World::new();
    for kernel in [K, "6.2"] {
        world.kernel(kernel).headers();
        world.write(
            &format!("/lib/modules/{kernel}/build/Module.symvers"),
            "0x1\told\tvmlinux\tEXPORT_SYMBOL\t\n",
        );
        world.write(&format!("/lib/modules/{kernel}/build/.config"), "CONFIG_X=y\n");
    }
    world
}

fn machine() -> World {
    let world = with_headers();
    world
        .package("my_mod", "1.0_a")
        .file("COPYING", "GPL\n")
        .file(".git/config", "x")
        .script("helper.sh", "true");
    world.ok(&["add", "my_mod/1.0_a"]);
    world
}

fn deb(world: &World, kind: &str, name: &str) -> String {
    let path = world.path(format!("/var/lib/dkms/my_mod/1.0_a/{kind}/{name}"));
    assert!(path.is_file(), "{:#?}", world.names(&format!("/var/lib/dkms/my_mod/1.0_a/{kind}")));
    path.display().to_string()
}

fn said(world: &World, line: &str) -> String {
    let ended = world.shell(line);
    ended.exits(0);
    ended.stdout
}

#[test]
fn package_of_source_alone_is_for_every_machine() {
    let world = machine();
    let ended = world.ok(&["mkdeb", "my_mod/1.0_a"]);
    let dir = world.path("/var/lib/dkms/my_mod/1.0_a/deb");
    ended.says(&format!("Moving built files to {}", dir.display())).says("my-mod-dkms_1.0+a_all.deb");
    let file = deb(&world, "deb", "my-mod-dkms_1.0+a_all.deb");
    let list = said(&world, &format!("dpkg-deb --contents {file}"));
    for wanted in [
        "drwxr-xr-x root/root         0 2000-01-01 00:00 ./usr/src/my_mod-1.0_a/",
        "./usr/src/my_mod-1.0_a/dkms.conf",
        "-rwxr-xr-x root/root",
        "./usr/share/doc/my-mod-dkms/changelog.gz",
        "./usr/share/doc/my-mod-dkms/copyright",
    ] {
        assert!(list.contains(wanted), "{wanted}: {list}");
    }
    assert!(!list.contains(".git") && !list.contains("tar.gz"), "{list}");
    assert_eq!(
        said(&world, &format!("dpkg-deb --field {file} Version Depends")),
        "Version: 1.0+a\nDepends: dkms (>= 2.1.0.0)\n"
    );
    let postinst = said(&world, &format!("dpkg-deb --info {file} postinst"));
    assert!(
        postinst.contains("\"$postinst\" \"my_mod\" \"1.0_a\" \"/usr/share/my-mod-dkms\" \"\" \"$2\""),
        "{postinst}"
    );
    assert!(
        said(&world, &format!("dpkg-deb --info {file} prerm"))
            .contains("dkms remove -m \"my_mod\" -v \"1.0_a\" --all")
    );
}

#[rstest]
#[case::all(&[], &[K, "6.2"])]
#[case::one(&["-k", "6.2"], &["6.2"])]
#[case::source_only(&["--source-only"], &[])]
#[case::binaries_only(&["--binaries-only", "-k", K], &[K])]
fn builds_are_used_by_machines_without_compiler(#[case] options: &[&str], #[case] kernels: &[&str]) {
    let world = machine();
    for kernel in [K, "6.2"] {
        world.ok(&["build", "my_mod/1.0_a", "-k", kernel]);
    }
    world.ok(&[&["mkdeb", "my_mod/1.0_a", "--legacy-postinst=0"], options].concat());
    let arch = if kernels.is_empty() { "all" } else { *DEBIAN_ARCH };
    let file = deb(&world, "deb", &format!("my-mod-dkms_1.0+a_{arch}.deb"));

    let client = with_headers();
    client.program("make", "echo 'no compiler' >&2; exit 2");
    said(&client, &format!("/usr/bin/dpkg-deb --extract {file} {}", client.root().display()));
    let ended = client.hook("common-postinst", &["my_mod", "1.0_a", "/usr/share/my-mod-dkms", "", ""]);
    if kernels.is_empty() {
        ended.complains("could not be built");
    }
    client.dkms(&["autoinstall", "-k", "6.2"]);
    let status = client.status();
    for kernel in [K, "6.2"] {
        let wanted = line("my_mod/1.0_a", kernel, "installed");
        assert_eq!(
            status.contains(&wanted),
            kernels.contains(&kernel),
            "{kernel}: {status:#?}\n{}",
            ended.stderr
        );
    }
    for kernel in kernels {
        let module = format!("/lib/modules/{kernel}/updates/dkms/my_mod.ko");
        let built = format!("/var/lib/dkms/my_mod/1.0_a/{kernel}/{}/module/my_mod.ko", *A);
        assert_eq!(fs::read(client.path(module)).unwrap(), fs::read(world.path(built)).unwrap());
    }
    if kernels.contains(&K) {
        client.dkms(&["check", "-k", K]).is_silent_about("has changed");
    }
}

#[rstest]
#[case::other_symbols("Module.symvers", "0xffffffff\tnew\tvmlinux\tEXPORT_SYMBOL\t\n")]
#[case::damaged("", "")]
fn what_does_not_fit_machine_is_built_there(#[case] changed: &str, #[case] content: &str) {
    let world = machine();
    world.ok(&["build", "my_mod/1.0_a"]);
    if changed.is_empty() {
        world.write(&format!("/var/lib/dkms/my_mod/1.0_a/{K}/{}/module/my_mod.ko", *A), "torn");
    }
    world.ok(&["mkdeb", "my_mod/1.0_a"]);
    let file = deb(&world, "deb", &format!("my-mod-dkms_1.0+a_{}.deb", *DEBIAN_ARCH));
    let client = with_headers();
    said(&client, &format!("/usr/bin/dpkg-deb --extract {file} {}", client.root().display()));
    if !changed.is_empty() {
        client.write(&format!("/lib/modules/{K}/build/{changed}"), content);
    }
    let ended = client.hook("common-postinst", &["my_mod", "1.0_a", "/usr/share/my-mod-dkms", "", ""]);
    ended.exits(0).complains("compiling instead");
    let calls = client.calls("make");
    assert!(calls.iter().any(|call| call.contains(&format!("/lib/modules/{K}/build"))), "{calls:?}");
    assert!(client.status().contains(&line("my_mod/1.0_a", K, "installed")));
}

#[test]
fn modules_of_kernel_need_neither_dkms_nor_headers() {
    let world = machine();
    for kernel in [K, "6.2"] {
        world.ok(&["build", "my_mod/1.0_a", "-k", kernel]);
    }
    world.ok(&["mkbmdeb", "my_mod/1.0_a"]);
    let file = deb(&world, "bmdeb", &format!("my-mod-modules-{K}_1.0+a_{}.deb", *DEBIAN_ARCH));
    deb(&world, "bmdeb", &format!("my-mod-modules-6.2_1.0+a_{}.deb", *DEBIAN_ARCH));
    let list = said(&world, &format!("dpkg-deb --contents {file}"));
    assert!(list.contains(&format!("./lib/modules/{K}/updates/dkms/my_mod.ko")), "{list}");
    let depends = said(&world, &format!("dpkg-deb --field {file} Depends"));
    assert!(depends.starts_with(&format!("kmod, linux-image-{K} |")), "{depends}");
    let postinst = said(&world, &format!("dpkg-deb --info {file} postinst"));
    assert!(postinst.contains(&format!("depmod \"{K}\"")), "{postinst}");
    assert!(
        said(&world, &format!("dpkg-deb --info {file} triggers"))
            .contains("activate-noawait update-initramfs")
    );
}

#[test]
fn the_same_inputs_give_the_same_package() {
    let make = |date: &str| {
        let mut world = machine();
        world.set("SOURCE_DATE_EPOCH", "1700000000");
        world.ok(&["build", "my_mod/1.0_a"]);
        world.shell(&format!("find ../root/usr/src -exec touch -d {date} {{}} + ; true"));
        world.shell("chmod 600 ../root/usr/src/my_mod-1.0_a/COPYING");
        world.ok(&["mkdeb", "my_mod/1.0_a"]);
        world.ok(&["mkbmdeb", "my_mod/1.0_a"]);
        let debs = [
            deb(&world, "deb", &format!("my-mod-dkms_1.0+a_{}.deb", *DEBIAN_ARCH)),
            deb(&world, "bmdeb", &format!("my-mod-modules-{K}_1.0+a_{}.deb", *DEBIAN_ARCH)),
        ];
        debs.map(|file| fs::read(file).unwrap())
    };
    let (one, other) = (make("2010-01-01"), make("2020-02-02"));
    assert!(one == other, "the packages differ");
}

#[rstest]
#[case::nothing_built(&["mkbmdeb", "my_mod/1.0_a"], 6, "mkbmdeb: no modules of my_mod/1.0_a are built")]
#[case::binaries_of_nothing(&["mkdeb", "my_mod/1.0_a", "--binaries-only"], 6, "no modules of my_mod/1.0_a are built")]
#[case::other_kernel(&["mkdeb", "my_mod/1.0_a", "-k", "6.2"], 6, "are built for kernel 6.2 (")]
#[case::unknown(&["mkdeb", "unknown/1"], 3, "unknown/1")]
#[case::no_rpmbuild(&["mkrpm", "my_mod/1.0_a"], 2, "rpmbuild is needed, and not installed.\nInstall the package rpm")]
#[case::kmp(&["mkkmp", "my_mod/1.0_a"], 2, "mkrpm")]
#[case::driver_disk(&["mkdriverdisk", "my_mod/1.0_a"], 2, "mkdeb")]
fn failed_package_leaves_nothing(#[case] args: &[&str], #[case] code: i32, #[case] text: &str) {
    let mut world = machine();
    let bin = world.scratch("bin-only");
    fs::create_dir_all(&bin).unwrap();
    if args[0] == "mkrpm" {
        world.set("PATH", &bin.display().to_string());
    }
    let before = world.everything();
    world.dkms(args).exits(code).complains(text);
    assert_eq!(world.everything(), before);
}

#[rstest]
#[case("mkdeb", "a:b", "1", "no Debian package has ':' in its name")]
#[case("mkdeb", "a", "1:2", "no Debian package has ':' in its version")]
#[case("mkdeb", "a", "1=2", "'=' has a meaning in scripts")]
#[case("mkrpm", "a", "1:2", "no rpm package has ':' in its version")]
fn a_name_that_packages_cannot_have_is_refused(
    #[case] action: &str,
    #[case] name: &str,
    #[case] version: &str,
    #[case] why: &str,
) {
    let world = World::new();
    let dir = world.path("/usr/src/p");
    world.package_in(&dir, name, version);
    world.ok(&["add", dir.to_str().unwrap()]);
    let id = format!("{name}/{version}");
    world.dkms(&[action, &id]).exits(8).complains(why);
    assert!(!world.has(&format!("/var/lib/dkms/{id}/deb")));
}

/// A template of the source or of the administrator makes the package as its author wants it.
#[rstest]
#[case::of_the_source("/usr/src/my_mod-1.0_a/my_mod-dkms-mkdeb")]
#[case::of_the_administrator("/etc/dkms/template-dkms-mkdeb")]
fn a_template_makes_the_package(#[case] dir: &str) {
    let world = machine();
    world.ok(&["build", "my_mod/1.0_a"]);
    world.program("dpkg-buildpackage", "pwd; ls -A; cat debian/control; tar -tzf MODULE_NAME.list 2>/dev/null; cp debian/control ../made_1_all.deb; ls *.dkms.tar.gz > ../names.deb");
    world.write(
        &format!("{dir}/debian/control"),
        "Source: DEBIAN_PACKAGE-dkms\nX: MODULE_NAME MODULE_VERSION DEBIAN_BUILD_ARCH\nDate: DATE_STAMP\n",
    );
    world.ok(&["mkdeb", "my_mod/1.0_a"]).says("made_1_all.deb");
    let text = world.read("/var/lib/dkms/my_mod/1.0_a/deb/made_1_all.deb");
    let begin = format!(
        "Source: my-mod-dkms\nX: my_mod 1.0_a {}\nDate: Sat, 01 Jan 2000 00:00:00 +0000",
        *DEBIAN_ARCH
    );
    assert!(text.starts_with(&begin), "{text}");
    assert_eq!(world.read("/var/lib/dkms/my_mod/1.0_a/deb/names.deb"), "my_mod-1.0_a.dkms.tar.gz\n");
}

#[test]
fn template_with_error_is_reported_and_leaves_nothing() {
    let world = machine();
    world.program("dpkg-buildpackage", "echo 'debian/changelog: no such file' >&2; exit 25");
    world.write("/etc/dkms/template-dkms-mkdeb/debian/control", "");
    let ended = world.dkms(&["mkdeb", "my_mod/1.0_a"]);
    ended
        .exits(7)
        .complains("dpkg-buildpackage failed: exit status 25")
        .complains("debian/changelog: no such file");
    world.program("dpkg-buildpackage", "true");
    world.dkms(&["mkdeb", "my_mod/1.0_a"]).exits(7).complains("made no package");
    assert!(!world.has("/var/lib/dkms/my_mod/1.0_a/deb"));
}

#[test]
fn a_source_package_can_be_unpacked() {
    let world = machine();
    if world.shell("command -v dpkg-source").code != Some(0) {
        return;
    }
    world.ok(&["mkdsc", "my_mod/1.0_a"]).says("my-mod-dkms_1.0+a.dsc").says("my-mod-dkms_1.0+a.tar.xz");
    let file = deb(&world, "dsc", "my-mod-dkms_1.0+a.dsc");
    let out = world.scratch("unpacked");
    said(&world, &format!("dpkg-source --extract --no-check {file} {}", out.display()));
    assert!(
        out.join("dkms.conf").is_file() && out.join("debian/rules").is_file() && !out.join(".git").exists()
    );
}

#[test]
fn package_without_its_source_goes_on_without_it() {
    let world = machine();
    world.ok(&["build", "my_mod/1.0_a"]);
    world.ok(&["mktarball", "my_mod/1.0_a", "--binaries-only", "--archive", "b.tar.gz"]);
    let tarball = world.path("/b.tar.gz");
    fs::rename(world.path("/var/lib/dkms/my_mod/1.0_a/tarball/b.tar.gz"), &tarball).unwrap();
    world.ok(&["remove", "my_mod/1.0_a", "--all"]);
    fs::remove_dir_all(world.path("/usr/src/my_mod-1.0_a")).unwrap();
    world.ok(&["ldtarball", tarball.to_str().unwrap()]);
    for args in [&["mkdsc", "my_mod/1.0_a"][..], &["mkdeb", "my_mod/1.0_a", "--source-only"]] {
        world.dkms(args).exits(4).complains("has no source here, only built modules");
    }
    world.ok(&["mkdeb", "my_mod/1.0_a"]);
    let list = said(
        &world,
        &format!(
            "dpkg-deb --contents {}",
            deb(&world, "deb", &format!("my-mod-dkms_1.0+a_{}.deb", *DEBIAN_ARCH))
        ),
    );
    assert!(!list.contains("usr/src") && list.contains("my_mod-1.0_a.dkms.tar.gz"), "{list}");
}

/// A spec of the source or of the administrator makes the package; macros give it what it needs.
#[rstest]
#[case::of_the_source("/usr/src/my_mod-1.0_a/my_mod-dkms-mkrpm.spec")]
#[case::of_the_administrator("/etc/dkms/template-dkms-mkrpm.spec")]
fn spec_in_place_of_ours_makes_the_rpm(#[case] spec: &str) {
    let world = machine();
    world.ok(&["build", "my_mod/1.0_a"]);
    world.write(spec, "Name: x\n");
    world.program(
        "rpmbuild",
        r#"for word; do case $word in "_topdir "*) top=${word#* };; "_sourcedir "*) sources=${word#* };; esac; last=$word; done
        mkdir -p "$top/RPMS/noarch"; { printf '%s\n' "$@"; ls "$sources"; cat "$last"; } > "$top/RPMS/noarch/x-1.noarch.rpm""#,
    );
    world.ok(&["mkrpm", "my_mod/1.0_a"]).says("x-1.noarch.rpm");
    let text = world.read("/var/lib/dkms/my_mod/1.0_a/rpm/x-1.noarch.rpm");
    for wanted in [
        "module_name my_mod",
        "version 1.0_a",
        &format!("kernel_versions {K}"),
        "mktarball_line /usr/sbin/dkms mktarball -m my_mod -v 1.0_a",
        "\nmy_mod-1.0_a\nmy_mod-1.0_a.dkms.tar.gz\n",
        "Name: x",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    world.program("rpmbuild", "echo 'error: line 1: Unknown tag' >&2; exit 1");
    world.dkms(&["mkrpm", "my_mod/1.0_a"]).exits(7).complains("error: line 1: Unknown tag");
}
