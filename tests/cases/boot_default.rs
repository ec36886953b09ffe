//! The boot loader's default stays on a kernel that has its drivers.

use crate::world::{K, World};
use rstest::rstest;

const NEW: &str = "6.2.0-1-amd64";
const ENV: &str = "/boot/grub/grubenv";
const OURS: &str = "saved_entry=top>gnulinux-6.1.0-1-amd64";

/// A machine with grub and two kernels, where `m` builds as the recipe says and is installed for the running one.
fn machine(default: &str, recipe: &str) -> World {
    let world = World::new();
    let entry = |release: &str| {
        format!(
            "menuentry 'Linux {release}' $menuentry_id_option 'gnulinux-{release}' {{\n linux /boot/vmlinuz-{release} ro\n}}\n"
        )
    };
    let cfg = format!(
        "if [ \"${{next_entry}}\" ] ; then\n set default=\"${{next_entry}}\"\nelse\n set default=\"{default}\"\nfi\n\
         menuentry 'Linux' $menuentry_id_option 'simple' {{\n linux /boot/vmlinuz-{NEW} ro\n}}\n\
         submenu 'More' $menuentry_id_option 'top' {{\n{}{}}}\n",
        entry(NEW),
        entry(K)
    );
    world.write("/boot/grub/grub.cfg", cfg).write(ENV, "# GRUB Environment Block\n");
    world.program("grub-editenv", EDIT);
    with_two_kernels(world, recipe)
}

/// The tool that writes what grub remembers.
const EDIT: &str = "echo \"$*\" >>@LOG@/grub-editenv; file=$1; action=$2; grep -v '^saved_entry=' $file >$file.new; \
                    test $action = unset || echo \"$3\" >>$file.new; mv $file.new $file";

fn with_two_kernels(world: World, recipe: &str) -> World {
    world.kernel(NEW).headers();
    world.depmod_indexes();
    world.package("m", "1.0").recipe(recipe);
    world.ok(&["install", "m/1.0"]);
    world.write("/etc/dkms/framework.conf", "boot_default=\"keep-complete\"\n");
    world
}

/// Both kernels in files of the Boot Loader Specification.
fn entries(world: &World, place: &str) {
    for release in [K, NEW] {
        let text = format!("title Linux {release}\nversion {release}\nlinux /m/{release}/linux\n");
        world.write(&format!("{place}/loader/entries/m-{release}.conf"), text);
    }
}

const FAILS_ON_NEW: &str = "[ $kernelver != 6.2.0-1-amd64 ] || exit 2";

#[rstest]
#[case::hook(&["kernel-postinst", NEW])]
#[case::by_hand(&["dkms", "autoinstall", "-k", NEW])]
fn default_stays_until_newest_kernel_has_its_drivers(#[case] trigger: &[&str]) {
    let world = machine("${saved_entry}", FAILS_ON_NEW);
    world
        .pull(trigger)
        .complains(&format!("the boot loader starts kernel {K} by default until {NEW} has its drivers"));
    assert!(world.read(ENV).contains(OURS), "{}", world.read(ENV));
    world
        .dkms(&["check"])
        .says(&format!("{K}  complete, 1 package with 1 module (running kernel; boots next)"));
    world
        .dkms(&["check"])
        .says(&format!("{K} stays the boot loader's default until a newer kernel has its drivers"));
    world.dkms(&["check", "--format", "json"]).says(&format!("\"kept_default\": \"{K}\""));
    // Said once.
    world.pull(trigger).is_silent_about("the boot loader");
    world.package("m", "1.0").recipe("true");
    world.pull(trigger).complains("the boot loader starts the newest kernel by default again");
    assert!(!world.read(ENV).contains("saved_entry"));
    assert!(!world.has("/var/lib/dkms/.dkms-boot.json"));
}

#[test]
fn switching_it_off_gives_the_default_back() {
    let world = machine("${saved_entry}", FAILS_ON_NEW);
    world.hook("kernel-postinst", &[NEW]);
    assert!(world.read(ENV).contains(OURS));
    world.write("/etc/dkms/framework.conf", "");
    world.hook("boot", &[]).exits(0);
    assert!(!world.read(ENV).contains("saved_entry"));
}

#[test]
fn choice_made_by_hand_is_left_alone() {
    let world = machine("${saved_entry}", FAILS_ON_NEW);
    world.write(ENV, "saved_entry=simple\n");
    world.hook("kernel-postinst", &[NEW]);
    assert_eq!(world.read(ENV), "saved_entry=simple\n");
    // Also one that is made after ours.
    world.write(ENV, "");
    world.hook("kernel-postinst", &[NEW]);
    assert!(world.read(ENV).contains(OURS));
    world.write(ENV, "saved_entry=simple\n");
    world.hook("kernel-postinst", &[NEW]);
    world.package("m", "1.0").recipe("true");
    world.hook("kernel-postinst", &[NEW]).exits(0);
    assert_eq!(world.read(ENV), "saved_entry=simple\n");
}

#[test]
fn fixed_default_of_grub_is_explained() {
    let world = machine("0", FAILS_ON_NEW);
    world
        .hook("kernel-postinst", &[NEW])
        .complains("boot_default needs GRUB_DEFAULT=saved in /etc/default/grub");
    assert!(world.calls("grub-editenv").is_empty());
}

#[rstest]
#[case::not_wanted("")]
#[case::nonsense("boot_default=yes\n")]
fn boot_loader_is_left_alone_unless_asked_for(#[case] conf: &str) {
    let world = machine("${saved_entry}", FAILS_ON_NEW);
    world.write("/etc/dkms/framework.conf", conf);
    let ended = world.hook("kernel-postinst", &[NEW]);
    ended.check(
        conf.is_empty() || ended.stderr.contains("it is keep-complete or nothing"),
        "nonsense is named",
    );
    assert!(world.calls("grub-editenv").is_empty());
}

#[test]
fn package_that_is_disabled_keeps_no_kernel_back() {
    let world = machine("${saved_entry}", FAILS_ON_NEW);
    world.hook("kernel-postinst", &[NEW]);
    assert!(world.read(ENV).contains(OURS));
    world.ok(&["disable", "m", "-k", NEW]).complains("starts the newest kernel by default again");
    assert!(!world.read(ENV).contains("saved_entry"));
}

#[test]
fn tool_that_fails_is_a_warning() {
    let world = machine("${saved_entry}", FAILS_ON_NEW);
    world.program("grub-editenv", "echo 'grubenv: too small' >&2; exit 1");
    world.hook("kernel-postinst", &[NEW]).exits(0).complains("The default of the boot loader stays as it is");
}

/// As on Fedora, where the entry of each new kernel is saved when it is installed.
#[test]
fn grub_with_entries_in_files_is_kept_as_well() {
    let world = World::new();
    entries(&world, "/boot");
    let cfg = "if [ \"${next_entry}\" ]; then\n set default=\"${next_entry}\"\nelse\n set default=\"${saved_entry}\"\nfi\nblscfg\n";
    let (env, newest) = ("/boot/grub2/grubenv", format!("saved_entry=m-{NEW}\n"));
    world.write("/boot/grub2/grub.cfg", cfg).write(env, &newest);
    world.write("/etc/sysconfig/kernel", "UPDATEDEFAULT=yes\nDEFAULTKERNEL=kernel-core\n");
    world.program("grub2-editenv", EDIT);
    let world = with_two_kernels(world, FAILS_ON_NEW);
    world.hook("kernel-postinst", &[NEW]).complains(&format!("starts kernel {K} by default"));
    assert_eq!(world.read(env), format!("saved_entry=m-{K}\n"));
    world
        .dkms(&["check"])
        .says(&format!("{K}  complete, 1 package with 1 module (running kernel; boots next)"));
    // The kernel is installed again.
    world.write(env, &newest);
    world.hook("kernel-postinst", &[NEW]).complains(&format!("starts kernel {K} by default"));
    assert_eq!(world.read(env), format!("saved_entry=m-{K}\n"));
    world.package("m", "1.0").recipe("true");
    world.hook("kernel-postinst", &[NEW]).complains("starts the newest kernel by default again");
    assert_eq!(world.read(env), newest);
}

/// The variable of the firmware, with its attributes.
const VARIABLE: &str = "/sys/firmware/efi/efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// A machine that systemd-boot has started.
fn with_systemd_boot(loader: &str) -> World {
    let world = World::new();
    entries(&world, "/boot/efi");
    world.write("/boot/efi/loader/loader.conf", loader);
    let utf_16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect() };
    let info = [vec![6, 0, 0, 0], utf_16("systemd-boot 252.36")].concat();
    world.write(&VARIABLE.replace("EntryDefault", "Info"), info);
    let file = world.path(VARIABLE).display().to_string();
    world.program(
        "bootctl",
        &format!(
            "echo \"$*\" >>@LOG@/bootctl; rm -f {file}; test -z \"$2\" || \
             {{ printf '\\6\\0\\0\\0'; printf %s \"$2\" | iconv -t UTF-16LE; printf '\\0\\0'; }} >{file}"
        ),
    );
    with_two_kernels(world, FAILS_ON_NEW)
}

#[test]
fn systemd_boot_is_kept_by_its_variable() {
    let world = with_systemd_boot("timeout 3\n");
    world.hook("kernel-postinst", &[NEW]).complains(&format!("starts kernel {K} by default"));
    assert_eq!(world.calls("bootctl"), [format!("set-default m-{K}.conf")]);
    world
        .dkms(&["check"])
        .says(&format!("{K}  complete, 1 package with 1 module (running kernel; boots next)"));
    world.hook("kernel-postinst", &[NEW]).is_silent_about("by default");
    world.package("m", "1.0").recipe("true");
    world.hook("kernel-postinst", &[NEW]).complains("starts the newest kernel by default again");
    assert!(!world.has(VARIABLE));
}

#[rstest]
#[case::in_loader_conf("default m-6.1*\n", "")]
#[case::by_bootctl("", "m-6.2.0-1-amd64.conf")]
fn choice_made_for_systemd_boot_is_left_alone(#[case] loader: &str, #[case] chosen: &str) {
    let world = with_systemd_boot(loader);
    if !chosen.is_empty() {
        world.shell(&format!("bootctl set-default {chosen}"));
    }
    let before = world.calls("bootctl");
    world.hook("kernel-postinst", &[NEW]).is_silent_about("by default");
    assert_eq!(world.calls("bootctl"), before);
}

#[test]
fn unknown_boot_loader_is_explained() {
    let world = World::new();
    entries(&world, "/boot");
    let world = with_two_kernels(world, FAILS_ON_NEW);
    world
        .hook("kernel-postinst", &[NEW])
        .complains("boot_default works with grub and systemd-boot, and neither was found");
}
