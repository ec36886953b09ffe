//! The infrastructure of Debian and Ubuntu.

use super::{concludes, installed, says, sh, with};
use crate::world::{A, Ended, K, World, line};
use rstest::rstest;
use std::fs;

#[test]
fn what_dh_dkms_writes_into_packages() {
    let world = with("m", "1.0");
    let postinst = "DKMS_POSTINST=$common_postinst; $DKMS_POSTINST m 1.0 /usr/share/m-dkms \"\" $2";
    sh(&world, postinst).exits(0);
    assert_eq!(world.status(), [line("m/1.0", K, "installed")]);
    let prerm = "set -e; if [ \"$(dkms status -m m -v 1.0)\" ]; then dkms remove -m m -v 1.0 --all; fi";
    sh(&world, prerm).exits(0);
    assert!(world.tree().is_empty());
    sh(&world, prerm).exits(0);
}

#[test]
fn copies_of_common_postinst_source_the_conf() {
    let world = with("m", "1.0");
    world.ok(&["add", "m/1.0"]);
    let autoinstall =
        "bash -c '. $DKMS_ROOT/var/lib/dkms/m/1.0/source/dkms.conf > /dev/null 2>&1; echo $AUTOINSTALL'";
    assert_eq!(says(&world, autoinstall), "yes\n");
    let count = "set -e; test -L $R/var/lib/dkms/m/1.0/source; n=`dkms status -m m -v 1.0 -k $K | grep -c ': built' || true`; echo $n";
    assert_eq!(says(&world, count), "0\n");
    world.ok(&["build", "m/1.0"]);
    assert_eq!(says(&world, count), "1\n");
    says(&world, "set -e; dkms status -m unknown -v 1.0");
}

#[test]
fn packages_of_mkdeb_use_dpkgs_architecture_name() {
    let world = with("m", "1.0");
    sh(&world, "\"$common_postinst\" m 1.0 /usr/share/m-dkms amd64 ''").exits(0);
    assert_eq!(world.status(), [format!("m/1.0, {K}, amd64: installed")]);
    sh(&world, "if [ \"`dkms status -m m`\" ]; then dkms remove -m m -v 1.0 --all; fi").exits(0);
    assert!(world.tree().is_empty());
}

const AUTOPKGTEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/debian/dkms-autopkgtest");

/// A test bed with a source package whose -dkms package ships `m`; one for other machines does not. apt notes its calls in `apt`,
/// and offers headers for 6.9.0, and a package of them that is no kernel's.
fn test_bed() -> World {
    let world = World::without_kernel();
    fs::create_dir_all(world.scratch("src/debian")).unwrap();
    let control = "Source: m\nBuild-Depends: dh-dkms\n\nPackage: m-dkms\nArchitecture: all\n\n\
                   Package: m-tools\nArchitecture: any\nDepends: m-dkms\n\n\
                   # a comment\nPackage: m-source\nArchitecture: i386\n amd64\nDepends: kmod,\n dkms (>= 3)\n\n\
                   Package: other-dkms\nArchitecture: hurd-any\n";
    fs::write(world.scratch("src/debian/control"), control).unwrap();
    world.program(
        "dpkg",
        "case $1 in
            -s) test -e ../installed-$2 ;;
            -L) echo /etc/dkms.conf; test $2 != m-dkms || echo /usr/src/m-1.0/dkms.conf ;;
            --print-architecture) echo amd64 ;;
        esac",
    );
    world.program("dpkg-query", "cat ../linux-doc 2>/dev/null");
    let headers = "mkdir -p $DKMS_ROOT/lib/modules/${1#linux-headers-}/build/include";
    world.program("apt-get", &format!("echo \"$@\" >>../apt; shift 3; case $1 in linux-headers-*) for f; do set -- $f; {headers}; done ;; esac"));
    world.program(
        "apt-cache",
        "case $1 in
            pkgnames) cat ../offered ;;
            show) echo \"Version: ${3##*-}\"; echo \"Source: linux (${3#linux-headers-})\" ;;
        esac",
    );
    world
}

fn autopkgtest(world: &World, before: &str) -> Ended {
    sh(world, &format!("cd src && {before} {AUTOPKGTEST} 2>&1"))
}

#[test]
fn autopkgtest_builds_for_every_kernel_with_headers() {
    let world = test_bed();
    for kernel in [K, "6.2.0"] {
        world.kernel(kernel).headers();
    }
    world.kernel("6.3.0");
    world.package("base", "2").conf("AUTOINSTALL=no");
    world.package("m", "1.0").conf("BUILD_DEPENDS=base\nBUILD_EXCLUSIVE_KERNEL=^6\\.1");
    fs::write(world.scratch("installed-m-dkms"), "").unwrap();
    autopkgtest(&world, "")
        .exits(0)
        .says("m/1.0 does not want kernel 6.2.0")
        .says(&format!("PASS m/1.0 {K}"));
    assert!(world.status().contains(&line("m/1.0", K, "installed")), "{:?}", world.status());
    assert!(world.has("/etc/dkms/no-autoinstall"));
    let calls = says(&world, "cat apt");
    assert_eq!(calls, "-y -q purge m-dkms\n-y -q install m-dkms\n-y -q install m-source\n");
}

#[test]
fn autopkgtest_shows_the_log_of_a_failure() {
    let world = test_bed();
    world.kernel(K).headers();
    world.package("m", "1.0").recipe("echo broken here; exit 1");
    let ended = autopkgtest(&world, "AUTOPKGTEST_ARTIFACTS=$PWD");
    ended.exits(1).says("broken here").says("E: m/1.0 failed for kernel").says(&format!("FAIL m/1.0 {K}"));
    let log = says(&world, &format!("cat src/m-1.0-{K}.make.log"));
    assert!(log.contains("broken here"), "{log}");
}

#[test]
fn autopkgtest_brings_headers() {
    let world = test_bed();
    world.package("m", "1.0");
    fs::write(world.scratch("offered"), "").unwrap();
    autopkgtest(&world, "").exits(77).says("apt offers none");
    let offered = "linux-headers-6.9.0-arm64\nlinux-headers-6.9.0-common\nlinux-headers-6.10.0-arm64\nlinux-headers-generic\n";
    fs::write(world.scratch("offered"), offered).unwrap();
    fs::write(world.scratch("linux-doc"), "installed 6.9.0-arm64\nnot-installed 6.10.0-arm64\n").unwrap();
    autopkgtest(&world, "").exits(0).says("PASS m/1.0 6.9.0-arm64").is_silent_about("6.10.0");
}

#[rstest]
#[case("linux-meta/6.8.0.50.53 foo/1", "6.8.0-50-generic")]
#[case("linux/6.12.107-1", "6.12.107+deb13-amd64")]
#[case("foo/6.12.107", "6.8.0-50-generic 6.8.0-51-generic 6.12.107+deb13-amd64")]
#[case("linux/6.20-1", "6.8.0-50-generic 6.8.0-51-generic 6.12.107+deb13-amd64")]
fn autopkgtest_looks_at_the_kernel_that_triggered_it(#[case] triggers: &str, #[case] wanted: &str) {
    let world = test_bed();
    for kernel in ["6.8.0-50-generic", "6.8.0-51-generic", "6.12.107+deb13-amd64"] {
        world.kernel(kernel).headers();
    }
    world.package("m", "1.0");
    let ended = autopkgtest(&world, &format!("ADT_TEST_TRIGGERS='{triggers}'"));
    ended.exits(0);
    let built = ended.stdout.lines().filter_map(|line| line.strip_prefix("I:   PASS m/1.0 "));
    assert_eq!(built.collect::<Vec<_>>(), wanted.split(' ').collect::<Vec<_>>());
}

#[test]
fn autopkgtest_without_driver_package_is_skipped() {
    let world = test_bed();
    world.kernel(K).headers();
    fs::write(world.scratch("src/debian/control"), "Source: m\n\nPackage: m\nArchitecture: any\n").unwrap();
    autopkgtest(&world, "").exits(77).says("no package for this machine");
    fs::write(world.scratch("src/debian/control"), "no control file\n").unwrap();
    autopkgtest(&world, "").exits(1).says("cannot be read");
    fs::remove_file(world.scratch("src/debian/control")).unwrap();
    autopkgtest(&world, "").exits(1).says("no debian/control here");
}

#[test]
fn autopkgtest_of_debian_as_it_calls_us() {
    let world = with("m", "1.0");
    world.write("/etc/dkms/no-autoinstall", "");
    says(&world, "dkms build -m m -v 1.0 -k $K && dkms install --force -m m -v 1.0 -k $K");
    says(&world, "dkms status m -k $K | grep -qE 'installed( \\(Original modules exist\\))?$'");
}

/// A private copy of everything, as the build of Ubuntu's kernel lays it out.
fn lrm(world: &World) {
    world.package_in(&world.scratch("D/source/nvidia-srv-550"), "nvidia-srv", "550");
    fs::create_dir_all(world.scratch("D/build")).unwrap();
    fs::create_dir_all(world.scratch("D/headers/linux-headers-6.8.0-50-generic/include")).unwrap();
}

const LRM: [&str; 12] = [
    "build",
    "--force",
    "--no-prepare-kernel",
    "--no-clean-kernel",
    "-k",
    "6.8.0-50-generic",
    "--sourcetree",
    "D/source",
    "--dkmstree",
    "D/build",
    "--kernelsourcedir",
    "D/headers/linux-headers-6.8.0-50-generic",
];

#[test]
fn ubuntus_signed_modules_are_built_under_fakeroot() {
    let world = World::without_kernel();
    lrm(&world);
    let home = world.scratch("").display().to_string();
    let args = LRM.map(|word| word.replace("D/", &format!("{home}D/"))).join(" ");
    let conf = format!("{home}D/source/nvidia-srv-550/dkms.conf");
    let user = if nix::unistd::geteuid().is_root() {
        "setpriv --reuid 65534 --regid 65534 --clear-groups"
    } else {
        ""
    };
    let line = format!(
        "top={home}..; chmod a+rx $top; chmod -R a+rwX {home} $top/bin $top/log $top/tmp; cp {} $top/bin/dkms-for-all; \
         unset DKMS_ROOT; {user} fakeroot $top/bin/dkms-for-all {args} {conf}",
        env!("CARGO_BIN_EXE_dkms")
    );
    sh(&world, &line).exits(0);
    let found = says(&world, "find D/build/nvidia-srv/550/6.8.0-50-generic -name '*.ko' | wc -l");
    assert_eq!(found.trim(), "1");
}

#[test]
fn ordinary_user_works_in_trees_of_their_own() {
    let world = World::without_kernel();
    lrm(&world);
    let home = world.scratch("").display().to_string();
    world.shell("chmod -R a+rwX .").exits(0);
    let trees: Vec<String> = LRM[6..].iter().map(|word| word.replace("D/", &format!("{home}D/"))).collect();
    let kernel = ["-k".to_owned(), LRM[5].to_owned()];
    let run = |words: &[&str]| {
        let args: Vec<&str> = words.iter().copied().chain(trees.iter().map(String::as_str)).collect();
        world.as_stranger(&args)
    };
    run(&["add", "nvidia-srv/550"]).exits(0);
    run(&["build", "nvidia-srv/550", &kernel[0], &kernel[1]]).exits(0);
    run(&["mktarball", "nvidia-srv/550", &kernel[0], &kernel[1]]).exits(0);
    run(&["status"]).exits(0).says("nvidia-srv/550, 6.8.0-50-generic, ");
    run(&["unbuild", "nvidia-srv/550", "--all"]).exits(0);
    run(&["remove", "nvidia-srv/550", "--all"]).exits(0);
}

#[test]
fn update_secureboot_policy_counts_directories_and_reads_signatures() {
    let world = World::new();
    let directories = "find $R/var/lib/dkms -type d | wc -l";
    world.ok(&["status"]);
    world.ok(&["autoinstall"]);
    assert_eq!(says(&world, directories).trim(), "1", "an empty tree has no directories of ours");
    world.kernel(K).config("CONFIG_MODULE_SIG_HASH=sha256\n").sign_file();
    world.write("/etc/dkms/framework.conf", "try_sign_modules=true\n");
    world.package("m", "1.0");
    world.ok(&["install", "m/1.0"]);
    says(&world, "test $(find $R/var/lib/dkms -type d | wc -l) -gt 1");
    let signed = "for ko in $(find $R/var/lib/dkms -name '*.ko'); do tail -c 28 $ko; done";
    assert_eq!(says(&world, signed), "~Module signature appended~\n");
    says(&world, "openssl x509 -inform DER -in $R/var/lib/dkms/mok.pub -noout -serial | grep -q '^serial='");
}

#[test]
fn checkbox_splits_every_line_of_status_in_two() {
    let world = installed("m", "1.0");
    let parser = "dkms status | python3 -c '\nimport sys\nfor line in sys.stdin:\n  d, s = line.strip().split(\": \")\n  print(d.split(\", \"), s)\n'";
    let expected = format!("['m/1.0', '{K}', '{}'] installed\n['other/0.1'] added\n", *A);
    assert_eq!(says(&world, parser), expected);
    world.package("bad", "1.0").recipe("exit 1");
    let words = format!("Bad return status for module build on kernel: {K}");
    sh(&world, "dkms install bad/1.0 2>&1").says(&words);
    assert_eq!(concludes(&world, "ls $R/var/lib/dkms/m/1.0/$K/$A/module"), "m.ko");
}

#[test]
fn apport_is_reported_of_a_build_that_failed() {
    let world = World::new();
    world.program("python3", "echo \"$*\" >> @LOG@/python3");
    crate::world::script(&world.path("/usr/share/apport/apport"), "true");
    world.write("/usr/share/apport/package-hooks/dkms_packages.py", "");
    world.package("m", "1.0").recipe("exit 1");
    world.dkms(&["build", "m/1.0"]).exits(10);
    let hook = world.path("/usr/share/apport/package-hooks/dkms_packages.py");
    let call = format!("{} -m m -v 1.0 -k {K}", hook.display());
    assert_eq!(world.calls("python3"), std::slice::from_ref(&call));
    // What was not sent yet is out of date.
    std::fs::remove_file(world.path("/usr/src/m-1.0/recipe")).unwrap();
    world.ok(&["install", "m/1.0"]);
    world.ok(&["build", "m/1.0", "--force"]);
    assert_eq!(world.calls("python3"), [call.clone(), format!("{call} --fixed")]);
}
