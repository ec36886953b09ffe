//! Installers and packages of vendors.

use super::{concludes, installed, says, sh, with};
use crate::world::{A, K, World, elf, line};
use std::fs;

#[test]
fn nvidia_installer() {
    let world = World::new();
    let module = elf::versioned("nvidia", "590.48", "S");
    let conf = "PACKAGE_NAME=\"nvidia\"\nPACKAGE_VERSION=\"590.48\"\nAUTOINSTALL=\"yes\"\nMAKE[0]=\"'make' -j2 modules\"\n\
                BUILT_MODULE_NAME[0]=\"nvidia\"\nDEST_MODULE_LOCATION[0]=\"/kernel/drivers/video\"\n";
    // It installs what it built, and makes the source directory, before it hands both over.
    world.write(&format!("/lib/modules/{K}/kernel/drivers/video/nvidia.ko"), &module);
    world.write("/usr/src/nvidia-590.48/dkms.conf", conf).write("/usr/src/nvidia-590.48/nvidia.c", "source");
    let stage = world.scratch("stage");
    let put = |path: &str, content: &[u8]| crate::world::write(&stage.join(path), content);
    put("dkms_source_tree/dkms.conf", conf.as_bytes());
    put("dkms_main_tree/dkms_dbversion", b"2.0.0");
    put(&format!("dkms_main_tree/{K}/{}/log/make.log", *A), b"log");
    put(&format!("dkms_main_tree/{K}/{}/module/nvidia.ko", *A), &module);
    says(&world, "cd stage && tar cf ../handed-over dkms_source_tree dkms_main_tree");
    // The option is used only where the help shows it between blanks or brackets.
    says(&world, "dkms --help | grep -qE '(^|[][[:space:]])--no-depmod($|[][[:space:]])'");
    assert_eq!(says(&world, "dkms status -m nvidia"), "");
    says(&world, "dkms remove --no-depmod -m nvidia -v 590.48 --all || true; dkms ldtarball handed-over");
    says(&world, "dkms install --no-depmod -m nvidia -v 590.48 -k $K");
    says(&world, "dkms status -m nvidia -v 590.48 -k $K | grep -q ': installed'");
    assert_eq!(world.depmods(K), 0);
    says(&world, "dkms remove --no-depmod -m nvidia -v 590.48 --all");
    assert_eq!(says(&world, "dkms status -m nvidia"), "");
}

#[test]
fn cuda_rpm() {
    let world = with("nvidia", "590.48");
    for action in ["add", "build", "install"] {
        let ended = sh(&world, &format!("dkms {action} -m nvidia -v 590.48 -q || :"));
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    }
    sh(&world, "dkms install -m nvidia -v 590.48 -q --force || :").exits(0);
    assert_eq!(world.status(), [line("nvidia/590.48", K, "installed")]);
    sh(&world, "dkms remove -m nvidia -v 590.48 -q --all || :").exits(0);
    assert!(world.tree().is_empty());
}

#[test]
fn ubuntus_nvidia_packages() {
    let world = with("nvidia", "590.48");
    let conf = "MAKE[0]=\"unset ARCH; env NV_VERBOSE=1 \\\n    'make' ${parallel_jobs+-j$parallel_jobs} modules\"\n\
                BUILT_MODULE_NAME[1]=nvidia-uvm\nDEST_MODULE_NAME[1]=nvidia-uvm\nDEST_MODULE_LOCATION[1]=/kernel/drivers/char/drm";
    world.package("nvidia", "590.48").module("nvidia-uvm").conf(conf);
    sh(&world, "\"$common_postinst\" nvidia 590.48 /usr/share/nvidia $A ''; exit $?").exits(0);
    let found = says(&world, "find $R/lib/modules/$K/updates/dkms -name 'nvidia*.ko' | wc -l");
    assert_eq!(found.trim(), "2");
    assert_eq!(says(&world, "dkms remove -m nvidia -v 590.48 --all > /dev/null"), "");
}

#[test]
fn debians_nvidia_kernel_dkms_renames_its_modules() {
    let world = with("nvidia-current", "525");
    let conf = "PACKAGE_NAME=nvidia-current\nPACKAGE_VERSION=525\nAUTOINSTALL=yes\nMAKE[0]=\"'make' -j$parallel_jobs\"\n\
                BUILT_MODULE_NAME[0]=nvidia\nDEST_MODULE_NAME[0]=\"$PACKAGE_NAME\"\nDEST_MODULE_LOCATION[0]=/updates/dkms\n";
    world.package("nvidia-current", "525").module("nvidia").whole_conf(conf);
    world.ok(&["install", "nvidia-current/525", "-j", "3"]);
    assert!(world.has(&format!("/lib/modules/{K}/updates/dkms/nvidia-current.ko")));
    assert_eq!(world.calls("make"), ["-j3"]);
}

#[test]
fn amdgpu_is_installed_over_newer_module_of_kernel() {
    let world = World::new();
    world.kernel(K).module("kernel/drivers/gpu/amdgpu.ko", "99", "X");
    world
        .package("amdgpu", "6.7")
        .conf("PRE_BUILD=\"amd/dkms/pre-build.sh $kernelver\"")
        .script("amd/dkms/pre-build.sh", "echo \"for $1\" > told; test \"$1\" = 6.1.0-1-amd64");
    world.dkms(&["install", "amdgpu/6.7"]).exits(6);
    world.write("/usr/share/dkms/modules_to_force_install/amdgpu", "amdgpu\n");
    world.ok(&["install", "amdgpu/6.7"]);
    assert!(world.status()[0].contains(": installed"));
}

#[test]
fn mellanox_goes_through_the_source_link() {
    let world = with("mlnx-ofed-kernel", "24.1");
    world
        .package("mlnx-ofed-kernel", "24.1")
        .conf("DEST_MODULE_LOCATION[0]=\"/kernel/../updates/\"")
        .script("ofed_scripts/dkms_ofed", "echo found");
    world.ok(&["install", "mlnx-ofed-kernel/24.1"]);
    says(&world, "dkms status -m mlnx-ofed-kernel -v 24.1 -k $K | grep -q installed");
    assert_eq!(
        says(&world, "$R/var/lib/dkms/mlnx-ofed-kernel/24.1/source/ofed_scripts/dkms_ofed"),
        "found\n"
    );
}

#[test]
fn hpes_conf_asks_dkms_for_its_dependencies() {
    let world = World::new();
    world.package("amdgpu", "6.7");
    let conf = "BUILD_DEPENDS+=(kfabric)\nif [ $(dkms status -m amdgpu -v 6.7 | wc -l) -gt 0 ]; then BUILD_DEPENDS+=(amdgpu); fi\n\
                MAKE=\"make KBUILD_EXTRA_SYMBOLS=${dkms_tree}/kfabric/kernel-${kernelver}-${arch}/module/Module.symvers\"";
    world.package("cxi-driver", "1.0").conf(conf);
    world.package("kfabric", "1.0").file("Module.symvers", "symbols");
    // rpm's %post: common.postinst with two arguments, for each package in its order
    for (name, version) in [("amdgpu", "6.7"), ("kfabric", "1.0"), ("cxi-driver", "1.0")] {
        sh(&world, &format!("\"$common_postinst\" {name} {version}")).exits(0);
    }
    assert_eq!(
        world.status().iter().filter(|line| line.ends_with(": installed")).count(),
        3,
        "{:?}",
        world.status()
    );
    let symbols = world.calls("make").last().unwrap().rsplit_once('=').unwrap().1.to_owned();
    assert_eq!(fs::read_to_string(symbols).unwrap(), "symbols");
    world.ok(&["add", "--rpm_safe_upgrade", "-m", "cxi-driver", "-v", "1.0", "--help"]);
}

#[test]
fn lustre_asks_dkms_while_it_is_built() {
    let world = World::new();
    world.package("zfs", "2.2.7");
    world.ok(&["install", "zfs/2.2.7"]);
    let conf = "if ls -1 $dkms_tree | grep -q zfs; then BUILD_DEPENDS=zfs; fi\n\
                PRE_BUILD=\"pre_build.sh \\$module \\$module_version \\$kernelver \\$kernel_source_dir \\$arch \\$source_tree \\$dkms_tree\"";
    world.package("lustre", "2.15").conf(conf).script(
        "pre_build.sh",
        "V=$(dkms status -m zfs -k $3 -a $5 | sed -e 's:zfs/::g' -e 's:,.*::g')\n\
         test -d \"$7/zfs/$V/source\" && test -d \"$7/zfs/kernel-$3-$5\" && echo \"$V $1 $2\" > \"$DKMS_SCRATCH/asked\"",
    );
    world.ok(&["install", "lustre/2.15"]);
    assert_eq!(fs::read_to_string(world.scratch("asked")).unwrap(), "2.2.7 lustre 2.15\n");
}

#[test]
fn ipt_netflow_finds_its_version_beside_its_conf() {
    let world = World::new();
    let conf = "PACKAGE_NAME=\"ipt-netflow\"\npushd $(dirname $BASH_SOURCE)\nPACKAGE_VERSION=\"$(./version.sh)\"\npopd\n\
                PRE_BUILD=\"configure --from-dkms-conf=$kernel_source_dir\"\nBUILT_MODULE_NAME[0]=ipt-netflow\n\
                DEST_MODULE_LOCATION[0]=/kernel/extra\n";
    let dir = world.scratch("src");
    let package = world.package_in(&dir, "ipt-netflow", "2.6");
    package
        .whole_conf(conf)
        .script("version.sh", "echo 2.6")
        .script("configure", "echo \"$1\" > \"$DKMS_SCRATCH/configured\"");
    world.ok(&["install", dir.to_str().unwrap()]);
    assert!(fs::read_to_string(world.scratch("configured")).unwrap().contains("/build"));
    // By hand its configure reads what dkms 2 printed.
    let lines = says(&world, "dkms status --format legacy | grep ^ipt-netflow,");
    assert_eq!(lines, format!("ipt-netflow, 2.6, {K}, {}: installed\n", *A));
}

#[test]
fn evdi() {
    let world = World::new();
    let dir = world.scratch("evdi");
    world.package_in(&dir, "evdi", "1.14");
    sh(&world, "dkms install evdi").exits(0);
    sh(&world, "dkms add evdi; test $? = 3").exits(0);
    says(&world, "dkms status evdi/1.14 | grep installed");
    assert_eq!(says(&world, "find $R/var/lib/dkms/evdi/1.14 -type f -name make.log | wc -l").trim(), "1");
    world.ok(&["generate_mok"]);
    says(&world, "test -f $R/var/lib/dkms/mok.pub");
    says(&world, "dkms remove evdi/1.14 --all");
    assert!(!world.has("/var/lib/dkms/evdi"));
}

#[test]
fn openrazer() {
    let world = World::new();
    let missing = sh(&world, "dkms install openrazer-driver/3.9");
    missing.exits(2).complains("Error! Could not find module source directory.");
    world.package("openrazer-driver", "3.9");
    sh(&world, "dkms install openrazer-driver/3.9; dkms install openrazer-driver/3.9")
        .says("Module openrazer-driver/3.9 already installed on kernel");
    says(&world, "dkms status openrazer-driver | grep -q installed");
}

#[test]
fn the_loaders_of_sysdig_and_falco() {
    let world = World::new();
    world.program("scap-dkms-make", "echo scap >> @LOG@/scap; make \"$@\"");
    world.package("scap", "7.3");
    let tool = world.dkms(&["--version"]);
    tool.exits(0);
    says(&world, "dkms install --directive=\"MAKE='scap-dkms-make'\" -m scap -v 7.3 -k $K 2>/dev/null");
    assert_eq!(world.calls("scap"), ["scap"]);
    let version = says(&world, "dkms status -m scap | tr -d ',' | tr -d ':' | tr '/' ' ' | cut -d' ' -f2");
    assert_eq!(version, "7.3\n");
    says(&world, "test -f $R/var/lib/dkms/scap/7.3/$K/$A/module/scap.ko");
    says(&world, "dkms remove -m scap -v 7.3 --all");
    world.package("scap", "7.3").recipe("echo scap-failed; exit 1");
    sh(
        &world,
        "dkms install -m scap -v 7.3 -k $K 2>/dev/null || cat $R/var/lib/dkms/scap/7.3/build/make.log",
    )
    .says("scap-failed");
}

#[test]
fn hailo_xpadneo_and_xone_show_log_of_failure() {
    let world = World::new();
    world.package("hailo", "4.1").recipe("echo 'x.c:1: error: no'; exit 2");
    let ended = sh(
        &world,
        "dkms add -m hailo -v 4.1; dkms build -m hailo -v 4.1 || (cat $R/var/lib/dkms/hailo/4.1/build/make.log; exit 1)",
    );
    ended.exits(1).says("x.c:1: error: no");
}

#[test]
fn intel_edge_gfx_signs_again_what_was_built() {
    let world = World::new();
    world.package("gfx", "1.0").conf("POST_INSTALL=resign").script(
        "resign",
        "for f in $DKMS_ROOT/var/lib/dkms/gfx/1.0/$kernelver/$arch/module/*.ko*; do printf signed >> $f; done",
    );
    world.ok(&["install", "gfx/1.0"]);
    let module = world.read(&format!("/var/lib/dkms/gfx/1.0/{K}/{}/module/gfx.ko", *A));
    assert!(module.ends_with("signed"));
    // What it changed is installed by the next installation.
    assert!(world.status()[0].ends_with("(Differences between built and installed modules)"));
    world.ok(&["install", "gfx/1.0", "--force"]);
    assert!(world.read(&format!("/lib/modules/{K}/updates/dkms/gfx.ko")).ends_with("signed"));
}

#[test]
fn x86linuxextra_and_zfs_copy_into_the_result() {
    let world = World::new();
    let conf = "POST_BUILD=\"keep -n ${PACKAGE_NAME} -v ${PACKAGE_VERSION} -a ${arch} -k ${kernelver} -t ${dkms_tree}\"";
    world.package("zfs", "2.3.9").conf(conf).recipe("echo config > zfs_config.h; echo symbols > Module.symvers").script(
        "keep",
        "while getopts a:k:n:t:v: o; do eval \"$o=\\$OPTARG\"; done\nto=$t/$n/$v/$k/$a\n\
         cp $t/$n/$v/build/zfs_config.h $t/$n/$v/build/Module.symvers $to/ && cp $t/$n/$v/build/zfs_config.h $to/module/",
    );
    world.ok(&["install", "zfs/2.3.9"]);
    let out = format!("/var/lib/dkms/zfs/2.3.9/{K}/{}", *A);
    for file in ["zfs_config.h", "Module.symvers", "module/zfs_config.h", "module/zfs.ko"] {
        assert!(world.has(&format!("{out}/{file}")), "{file}");
    }
}

#[test]
fn the_rpm_of_zfs() {
    let world = World::new();
    world.package("zfs", "2.3.9");
    says(&world, "dkms add -m zfs -v 2.3.9 --rpm_safe_upgrade");
    says(&world, "dkms install --force -m zfs -v 2.3.9");
    assert_eq!(says(&world, "dkms status -m zfs -v 2.3.9 | grep -c zfs"), "1\n");
    let listed = says(&world, "cd $R/var/lib/dkms/zfs && ls -d [[:digit:]]*");
    assert_eq!(listed, "2.3.9\n");
    fs::remove_dir_all(world.path("/usr/src/zfs-2.3.9")).unwrap();
    says(
        &world,
        "dkms status -m zfs -v 2.3.9 2>&1 | grep \"$R/var/lib/dkms/zfs/2.3.9/source/dkms.conf does not exist\"",
    );
    says(&world, "dkms remove -m zfs -v 2.3.9 --all");
    assert!(!world.has("/var/lib/dkms/zfs"));
}

#[test]
fn settings_of_zfs_have_name_of_an_override() {
    let world = World::new();
    let conf = "STRIP=\"$([ \"${ZFS_DKMS_DISABLE_STRIP,,}\" = yes ] && echo no)\"";
    world.package("zfs", "2.3.9").conf(conf);
    world.write("/etc/dkms/zfs.conf", "ZFS_DKMS_ENABLE_DEBUG=no\nZFS_DKMS_DISABLE_STRIP='yes'\n");
    world.ok(&["install", "zfs/2.3.9"]).is_silent_about("ZFS_DKMS");
}

#[test]
fn eks() {
    let world = with("nvidia", "550");
    world.write("/etc/dkms/nvidia.conf", "MAKE[0]=\"'make' -j2 eks\"\n");
    says(
        &world,
        "dkms install -m nvidia -v 550 && dkms mktarball -m nvidia -v 550 && cp $R/var/lib/dkms/nvidia/550/tarball/*.tar.gz n.tar.gz",
    );
    assert_eq!(world.calls("make"), ["-j2 eks"]);
    assert_eq!(says(&world, "ls $R/var/lib/dkms/nvidia/ | grep -v kernel | head -1"), "550\n");
    says(&world, "dkms remove nvidia/550 --all && dkms ldtarball n.tar.gz && dkms install -m nvidia -v 550");
    let only_installed = "dkms status | grep installed > a; dkms status > b; diff a b";
    assert_eq!(says(&world, only_installed), "");
}

#[test]
fn xpmem_builds_for_a_kernel_elsewhere() {
    let world = with("xpmem", "2.7");
    says(&world, "dkms add xpmem/2.7 && dkms mktarball xpmem/2.7 --source-only --archive x.tar.gz");
    says(
        &world,
        "dkms remove xpmem/2.7 --all && cp $R/var/lib/dkms/xpmem/2.7/tarball/x.tar.gz . 2>/dev/null || true",
    );
    fs::create_dir_all(world.scratch("headers/include")).unwrap();
    says(&world, "dkms build xpmem/2.7 --kernelsourcedir=$PWD/headers -k 5.14.0-test");
    assert!(world.calls("make")[0].contains("/headers"), "{:?}", world.calls("make"));
    assert_eq!(world.status(), [line("xpmem/2.7", "5.14.0-test", "built")]);
}

#[test]
fn pf_ring_specs_pack_and_load() {
    let world = with("pf_ring", "8.6");
    says(
        &world,
        "dkms build -m pf_ring -v 8.6 && dkms mktarball -m pf_ring -v 8.6 --binaries-only --archive p.dkms.tar.gz",
    );
    says(&world, "dkms mktarball -m pf_ring -v 8.6 --source-only --archive `basename s.tar.gz`");
    says(
        &world,
        "cp $R/var/lib/dkms/pf_ring/8.6/tarball/p.dkms.tar.gz . && dkms remove -m pf_ring -v 8.6 --all --rpm_safe_upgrade",
    );
    says(&world, "dkms ldtarball --archive=p.dkms.tar.gz && dkms install -m pf_ring -v 8.6");
    assert_eq!(world.status(), [line("pf_ring", K, "installed").replace("pf_ring", "pf_ring/8.6")]);
    sh(&world, "dkms mkdeb -m pf_ring -v 8.6 --source-only && echo made").exits(0).says("made");
    assert!(world.has("/var/lib/dkms/pf_ring/8.6/deb/pf-ring-dkms_8.6_all.deb"));
}

#[test]
fn xrt_and_tuxedo_read_status_in_both_forms() {
    let world = installed("xrt", "2.17");
    assert_eq!(says(&world, "dkms status -m xrt | awk -F, '{print $1}' | awk -F/ '{print $2}'"), "2.17\n");
    assert_eq!(says(&world, "dkms status --format legacy -m xrt | awk -F, '{print $2}'"), " 2.17\n");
    let tuxedo = with("tuxedo-drivers", "4.1");
    sh(&tuxedo, "\"$common_postinst\" tuxedo-drivers 4.1 /usr/share/tuxedo amd64 ''").exits(0);
    assert_eq!(tuxedo.status(), [format!("tuxedo-drivers/4.1, {K}, amd64: installed")]);
}

#[test]
fn virtualbox_leaves_directories_of_its_own_in_tree() {
    let world = installed("vboxhost", "7.0");
    fs::create_dir_all(world.path("/var/lib/dkms/vbox-temp")).unwrap();
    says(&world, "dkms status");
    let parsed = "dkms status --format legacy -m vboxhost | while read line; do echo \"$line\" | sed -n 's/vboxhost,\\([^,]*\\)[,:].*/\\1/p'; done";
    assert_eq!(says(&world, parsed), " 7.0\n");
    fs::remove_dir_all(world.path("/var/lib/dkms/vboxhost")).unwrap();
    assert_eq!(world.status(), ["other/0.1: added"]);
}

#[test]
fn the_makefiles_of_e3() {
    let world = World::new();
    let conf = "kernel_source=/lib/modules/$kernelver/build\nMAKE=\"make -C ${kernel_source_dir=${kernel_source}}\"\n";
    world.package("mrf", "2.2.1").conf(conf);
    world.write("/Makefile", "");
    let makefile = "DKMS := dkms\nDKMS_ARGS := -m mrf -v 2.2.1\ndkms_add:\n\t$(DKMS) add $(DKMS_ARGS)\n\
                    dkms_build:\n\t$(DKMS) build $(DKMS_ARGS)\ndkms_install:\n\t$(DKMS) install $(DKMS_ARGS)\n\tdepmod\n\
                    dkms_uninstall:\n\t$(DKMS) uninstall $(DKMS_ARGS)\n\tdepmod\ndkms_remove:\n\t$(DKMS) remove mrf/2.2.1 --all\n";
    fs::write(world.scratch("e3.mk"), makefile).unwrap();
    // The make of this world only notes its calls.
    let make = |goals: &str| sh(&world, &format!("PATH=$PATH:/usr/bin /usr/bin/make -f e3.mk {goals}"));
    make("dkms_add dkms_build dkms_install").exits(0);
    assert_eq!(world.status(), [line("mrf/2.2.1", K, "installed")]);
    make("dkms_uninstall dkms_remove").exits(0);
    assert!(world.tree().is_empty());
    // Its own unit of the name dkms.service says this.
    sh(&world, "/bin/sh -c 'dkms autoinstall --verbose --kernelver $(uname -r)'").exits(0);
}

#[test]
fn framework_conf_is_read_by_sh_and_make() {
    let world = World::new();
    let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/framework.conf");
    let text = fs::read_to_string(conf).unwrap();
    let set = text + "mok_signing_key=/keys/mok.key\n";
    fs::write(world.scratch("framework.conf"), set).unwrap();
    fs::write(world.scratch("v4l2.mk"), "-include framework.conf\nall:\n\t@echo '$(mok_signing_key)'\n")
        .unwrap();
    assert_eq!(says(&world, "/usr/bin/make -s -f v4l2.mk"), "/keys/mok.key\n");
    assert_eq!(concludes(&world, "set -eu; . ./framework.conf; echo $mok_signing_key"), "/keys/mok.key");
    assert_eq!(concludes(&world, "bash -euc '. ./framework.conf; echo $mok_signing_key'"), "/keys/mok.key");
}
