//! The programs and scripts of others that call us: their exact calls in their exact order, and what they make of the
//! answers. One case a client; who they are is listed in the project's survey of callers.

mod debian;
mod home_grown;
mod rpm_and_arch;
mod vendors;

use crate::world::{A, Ended, K, World};

/// Runs a shell line with `$K`, `$A` and `$R`, the place of the machine's `/`.
fn sh(world: &World, line: &str) -> Ended {
    world.shell(&format!("K={K} A={} R={}\n{line}", *A, world.root().display()))
}

/// What a successful line prints.
fn says(world: &World, line: &str) -> String {
    let ended = sh(world, line);
    ended.exits(0);
    ended.stdout
}

/// What a successful line prints last, after all that dkms says.
fn concludes(world: &World, line: &str) -> String {
    says(world, line).lines().last().unwrap_or_default().to_owned()
}

/// A world with this package in the source tree.
fn with(name: &str, version: &str) -> World {
    let world = World::new();
    world.package(name, version);
    world
}

/// A world where it is installed, and another package is only added.
fn installed(name: &str, version: &str) -> World {
    let world = with(name, version);
    world.ok(&["install", &format!("{name}/{version}")]);
    world.package("other", "0.1");
    world.ok(&["add", "other/0.1"]);
    world
}
