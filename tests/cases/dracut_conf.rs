//! What the rpm package sets: an initramfs that exists is made anew when the modules of its kernel change.

use crate::world::{K, World};
use rstest::rstest;

#[rstest]
#[case(true, "", &["--force --kver 6.1.0-1-amd64"])]
#[case(false, "", &[])]
#[case(true, "bls", &[])]
fn existing_image_is_made_again_outside_kernel_install(
    #[case] image: bool,
    #[case] layout: &str,
    #[case] calls: &[&str],
) {
    let mut world = World::new();
    let conf = include_str!("../../packaging/rpm/dracut.conf");
    let boot = format!("{}/", world.path("/boot").display());
    world.write("/etc/dkms/framework.conf.d/dracut.conf", conf.replace("/boot/", &boot));
    world.program("dracut", "echo \"$*\" >> @LOG@/@NAME@");
    if image {
        world.write(&format!("/boot/initramfs-{K}.img"), "");
    }
    if !layout.is_empty() {
        world.set("KERNEL_INSTALL_LAYOUT", layout);
    }
    world.package("hello", "1.0");
    world.ok(&["install", "hello/1.0"]).is_silent_about("post_transaction failed");
    assert_eq!(world.calls("dracut"), calls);
    world.ok(&["install", "hello/1.0"]);
    assert_eq!(world.calls("dracut"), calls, "nothing changed");
}
