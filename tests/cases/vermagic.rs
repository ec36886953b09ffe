//! A module that was built for another kernel than the one that it is filed under.

use crate::world::{K, World, elf, line};
use rstest::rstest;

const OTHER: &str = "6.2.0-9-amd64";

/// A package whose Makefile builds for the running kernel, whatever it is asked for.
fn world() -> World {
    let world = World::new();
    world.kernel(OTHER).headers();
    let module =
        elf::module(&["name=m".into(), "version=1.0".into(), format!("vermagic={K} SMP mod_unload ")]);
    world.package("m", "1.0").file("m.ko.in", module);
    world
}

#[test]
fn wrong_vermagic_fails_with_both_releases() {
    let world = world();
    let ended = world.dkms(&["build", "m/1.0", "-k", OTHER]);
    ended
        .exits(7)
        .complains(K)
        .complains(OTHER)
        .complains("see dkms.conf(5)")
        .complains(" You may override by specifying --force-vermagic.\n");
    ended.complains("MAKE[0]=\"make KVERSION=$kernelver\"").complains("--force-vermagic");
    assert_eq!(world.status(), ["m/1.0: added"]);
    assert!(world.has("/var/lib/dkms/m/1.0/build/make.log"));
    world.ok(&["build", "m/1.0", "-k", K]);
}

#[test]
fn headers_that_are_another_kernels_are_named() {
    let world = world();
    world.write(&format!("/lib/modules/{OTHER}/build/include/config/kernel.release"), format!("{K}\n"));
    let ended = world.dkms(&["build", "m/1.0", "-k", OTHER]);
    ended.exits(7).complains("the headers that were used belong to the former");
    ended.is_silent_about("KVERSION");
}

#[rstest]
#[case(&["build", "m/1.0", "-k", OTHER, "--force-vermagic"], "built")]
#[case(&["--force-vermagic", "install", "m/1.0", "-k", OTHER], "installed")]
fn an_option_takes_it_as_it_is(#[case] args: &[&str], #[case] state: &str) {
    let world = world();
    world.ok(args);
    assert_eq!(world.status(), [line("m/1.0", OTHER, state)]);
}

#[test]
fn only_its_own_option_overrides_vermagic() {
    let world = world();
    world.dkms(&["install", "m/1.0", "--force", "-k", OTHER]).exits(7);
    world.dkms(&["autoinstall", "-k", OTHER]).exits(11).says("failed for module(s) m(7)");
    world.ok(&["autoinstall", "-k", OTHER, "--force-vermagic"]);
    assert_eq!(world.status(), [line("m/1.0", OTHER, "installed")]);
}

#[test]
fn an_excluded_module_is_not_looked_at() {
    let world = world();
    let other = elf::module(&["name=n".into(), format!("vermagic={OTHER} SMP ")]);
    world
        .package("m", "1.0")
        .file("m.ko.in", elf::module(&["name=m".into()]))
        .file("n.ko.in", other)
        .conf("BUILT_MODULE_NAME[1]=n\nDEST_MODULE_LOCATION[1]=/extra\nBUILD_EXCLUSIVE_KERNEL[1]=^9");
    world.ok(&["build", "m/1.0", "-k", K]);
}
