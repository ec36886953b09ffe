//! What tutorials and makefiles in the field do, step by step, with the lines that their readers expect.

use crate::world::{A, K, World};

const B: &str = "6.1.0-2-amd64";

/// What a shell line prints on both streams, with this machine's directory taken out.
fn shown(world: &World, line: &str) -> String {
    let ended = world.shell(&format!("exec 2>&1; cd $DKMS_ROOT/home && {{ {line}; }}"));
    ended.exits(0);
    let text = ended.stdout.replace(&world.root().display().to_string(), "");
    // Whether modules are signed is another subject.
    let lines = text.lines().filter(|line| !line.starts_with("Modules are not signed"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn hello() -> World {
    let world = World::new();
    world.kernel(B).headers();
    std::fs::create_dir(world.path("/home")).unwrap();
    world
}

#[test]
fn hello_with_m_and_v() {
    let world = hello();
    world.package("hello", "0.1");
    let all = "-m hello -v 0.1";
    assert_eq!(
        shown(&world, &format!("dkms add {all}")),
        "Creating symlink /var/lib/dkms/hello/0.1/source -> /usr/src/hello-0.1\n"
    );
    assert_eq!(shown(&world, "dkms status"), "hello/0.1: added\n");
    let log = "/var/lib/dkms/hello/0.1/build/make.log";
    assert_eq!(
        shown(&world, &format!("dkms build {all}")),
        format!("Building hello/0.1 for {K}; log: {log}\nBuilding module(s)... done.\n")
    );
    assert_eq!(shown(&world, "dkms status"), format!("hello/0.1, {K}, {}: built\n", *A));
    let installed = shown(&world, &format!("dkms install {all}"));
    assert!(
        installed.contains(&format!("Installing hello/0.1 for kernel {K} ({})... done.\n", *A)),
        "{installed}"
    );
    assert!(installed.ends_with("depmod... done.\n"), "{installed}");
    assert_eq!(shown(&world, "dkms status"), format!("hello/0.1, {K}, {}: installed\n", *A));
    assert!(world.has(&format!("/lib/modules/{K}/updates/dkms/hello.ko")));
    let again = shown(&world, &format!("dkms install {all}"));
    assert!(
        again.contains("already installed on kernel")
            && again.contains("You may override by specifying --force."),
        "{again}"
    );
    let removed = shown(&world, &format!("dkms remove {all} --all"));
    assert!(removed.contains("Module hello/0.1 for kernel"), "{removed}");
    assert_eq!(shown(&world, "dkms status"), "");
    assert!(world.has("/usr/src/hello-0.1/dkms.conf"));
}

#[test]
fn hello_by_path() {
    let world = hello();
    world.package_in(&world.path("/home/hello-0.1"), "hello", "0.1");
    let added = shown(&world, "dkms add ./hello-0.1");
    assert!(
        added.contains("Creating symlink /var/lib/dkms/hello/0.1/source -> /usr/src/hello-0.1\n"),
        "{added}"
    );
    let installed = shown(&world, "dkms install hello/0.1");
    assert!(installed.contains("Building module(s)... done.\n"), "{installed}");
    assert_eq!(shown(&world, "dkms status hello"), format!("hello/0.1, {K}, {}: installed\n", *A));
    // The author goes on in the directory.
    std::fs::write(world.path("/home/hello-0.1/m.c"), "int edited;").unwrap();
    world.shell("cd $DKMS_ROOT/home && dkms install ./hello-0.1 --force").exits(0);
    assert_eq!(world.read("/usr/src/hello-0.1/m.c"), "int edited;");
}

#[test]
fn two_kernels_and_a_debian_package() {
    let world = hello();
    world.package("hello", "0.1");
    shown(&world, &format!("dkms build hello/0.1 -k {K} -k {B}"));
    assert_eq!(
        shown(&world, "dkms status"),
        format!("hello/0.1, {K}, {a}: built\nhello/0.1, {B}, {a}: built\n", a = *A)
    );
    shown(&world, &format!("dkms mkdeb hello/0.1 -k {K} -k {B}"));
    let listed = shown(&world, "ls $DKMS_ROOT/var/lib/dkms/hello/0.1/deb");
    assert!(listed.starts_with("hello-dkms_0.1_") && !listed.contains("_all"), "{listed}");
    let names = shown(&world, "dpkg-deb -c $DKMS_ROOT/var/lib/dkms/hello/0.1/deb/*.deb");
    assert!(names.contains("./usr/share/hello-dkms/hello-0.1.dkms.tar.gz"), "{names}");
}

#[test]
fn debian_package_of_source_alone_is_architecture_all() {
    let world = hello();
    world.package("hello", "0.1");
    shown(&world, "dkms add hello/0.1");
    shown(&world, "dkms mkdeb hello/0.1 --source-only");
    assert_eq!(shown(&world, "ls $DKMS_ROOT/var/lib/dkms/hello/0.1/deb"), "hello-dkms_0.1_all.deb\n");
}

#[test]
fn package_without_make_uses_the_kernels_own() {
    let world = hello();
    let conf = "PACKAGE_NAME=i40evf\nPACKAGE_VERSION=1.4\nBUILT_MODULE_NAME=i40evf\nAUTOINSTALL=yes\n";
    world.package("i40evf", "1.4").whole_conf(conf);
    let added = shown(&world, "dkms add -m i40evf -v 1.4");
    assert!(
        added.contains("DEST_MODULE_LOCATION is not set. This distribution decides where modules go"),
        "{added}"
    );
    shown(&world, "dkms install -m i40evf -v 1.4");
    let called = world.calls("make").join("\n");
    let expected = format!(
        "KERNELRELEASE={K} -C {build} M={dir}",
        build = world.path(format!("/lib/modules/{K}/build")).display(),
        dir = world.path("/var/lib/dkms/i40evf/1.4/build").display()
    );
    assert!(called.contains(&expected), "{called}");
    assert!(world.has(&format!("/lib/modules/{K}/updates/dkms/i40evf.ko")));
    shown(&world, "dkms autoinstall");
    assert_eq!(shown(&world, "dkms status"), format!("i40evf/1.4, {K}, {}: installed\n", *A));
}

/// Rules that many drivers copy into their Makefile.
const RULES: &str = "
DKMS := dkms
DKMS_ARGS := -m hello -v 0.1
dkms_add:
\t$(DKMS) add $(DKMS_ARGS)
dkms_build:
\t$(DKMS) build $(DKMS_ARGS)
dkms_install:
\t$(DKMS) install $(DKMS_ARGS)
dkms_uninstall:
\t$(DKMS) uninstall $(DKMS_ARGS)
dkms_remove:
\t$(DKMS) remove hello/0.1 --all
\trm -rf $(DKMS_ROOT)/usr/src/hello-0.1
";

#[test]
fn rules_of_a_makefile_do_their_work() {
    let world = hello();
    world.package("hello", "0.1");
    world.write("/home/Makefile", RULES);
    // The real make runs the rules; what they call finds that of this world.
    let rule =
        |name: &str| shown(&world, &format!("/usr/bin/make --no-print-directory -s -f Makefile {name}"));
    assert!(rule("dkms_add").contains("Creating symlink"));
    assert!(rule("dkms_build").contains("Building module(s)... done."));
    assert!(rule("dkms_install").contains("depmod... done."));
    assert_eq!(shown(&world, "dkms status"), format!("hello/0.1, {K}, {}: installed\n", *A));
    rule("dkms_uninstall");
    assert_eq!(shown(&world, "dkms status"), format!("hello/0.1, {K}, {}: built\n", *A));
    rule("dkms_remove");
    assert_eq!(shown(&world, "dkms status"), "");
    assert!(!world.has("/usr/src/hello-0.1") && !world.has("/var/lib/dkms/hello"));
}
