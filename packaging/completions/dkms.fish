# fish completion for dkms(8)

function __dkms_packages
    for path in /var/lib/dkms/*/*/source
        string replace -r '^/var/lib/dkms/(.*)/source$' '$1' $path
    end
end

function __dkms_sources
    for conf in /usr/src/*/dkms.conf
        string replace -r '^/usr/src/(.*)-([^-/]*)/dkms.conf$' '$1/$2' $conf
    end
end

function __dkms_kernels
    for path in /lib/modules/*
        string replace '/lib/modules/' '' $path
    end
end

# The versions of the package that stands before the cursor: behind -m, or behind the action.
function __dkms_versions
    set -l words (commandline -opc)
    set -l place (contains -i -- -m $words; or contains -i -- --module $words)
    if test -z "$place"
        set place 2
    end
    set -l name (string split / -- "$words[(math $place + 1)]")[1]
    for package in (__dkms_packages; __dkms_sources)
        string replace -f "$name/" '' $package
    end
end

function __dkms_formats
    printf '%s\n' text json
    if __fish_seen_subcommand_from status
        echo legacy
    end
end

# BEGIN words: made from src/cli/action.rs and src/cli/options.rs by "make documents".
set -l actions add build install uninstall unbuild remove status autoinstall check preflight fsck conf why log history lint disable enable rollback match mktarball ldtarball mkdeb mkbmdeb mkdsc mkrpm mksysext generate_mok kernel_preinst kernel_postinst kernel_prerm help

complete -c dkms -f
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a add -d 'register a package'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a build -d 'compile it for a kernel, adding it first if needed'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a install -d 'install it for a kernel, building it first if needed'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a uninstall -d 'remove its modules from a kernel, keeping the build'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a unbuild -d 'remove its build as well, keeping it registered'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a remove -d 'remove it for a kernel, or with --all altogether'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a status -d 'list packages and their builds'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a autoinstall -d 'install every AUTOINSTALL=yes package for a kernel'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a check -d 'report what would be missing after the next boot'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a preflight -d 'build everything for a kernel before it is installed'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a fsck -d 'find and repair inconsistencies of the tree'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a conf -d 'print how a dkms.conf is understood'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a why -d 'say what autoinstall would do with a package, and why'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a log -d 'print the log of a build, or list all logs'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a history -d 'list what was built and installed, when and why'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a lint -d 'find mistakes in a dkms.conf'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a disable -d 'leave a package alone on some kernels, or on all'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a enable -d 'manage a disabled package again'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a rollback -d 'install the next older version, and keep it'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a match -d 'install what another kernel has'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a mktarball -d 'pack a package with its builds'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a ldtarball -d 'load such a tarball'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a mkdeb -d 'make a Debian package of source and builds'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a mkbmdeb -d 'make a Debian package of modules for each kernel'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a mkdsc -d 'make a Debian source package'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a mkrpm -d 'make rpm packages of source and modules'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a mksysext -d 'make a system extension of all built modules'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a generate_mok -d 'make the signing key and its certificate'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a kernel_preinst -d 'what the hook of a kernel package does before it is unpacked'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a kernel_postinst -d 'what the hook of a kernel package does after it is installed'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a kernel_prerm -d 'what the hook of a kernel package does before it is removed'
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a help -d 'explain an action'
complete -c dkms -n '__fish_seen_subcommand_from add' -F -a '(__dkms_packages; __dkms_sources)'
complete -c dkms -n '__fish_seen_subcommand_from build' -F -a '(__dkms_packages; __dkms_sources)'
complete -c dkms -n '__fish_seen_subcommand_from install' -F -a '(__dkms_packages; __dkms_sources)'
complete -c dkms -n '__fish_seen_subcommand_from uninstall' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from unbuild' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from remove' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from status' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from check' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from preflight' -F
complete -c dkms -n '__fish_seen_subcommand_from conf' -F -a '(__dkms_packages; __dkms_sources)'
complete -c dkms -n '__fish_seen_subcommand_from why' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from log' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from history' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from lint' -F -a '(__dkms_packages; __dkms_sources)'
complete -c dkms -n '__fish_seen_subcommand_from disable' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from enable' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from rollback' -a '(__dkms_packages | string replace -r "/.*" "")'
complete -c dkms -n '__fish_seen_subcommand_from mktarball' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from ldtarball' -F
complete -c dkms -n '__fish_seen_subcommand_from mkdeb' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from mkbmdeb' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from mkdsc' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from mkrpm' -a '(__dkms_packages)'
complete -c dkms -n '__fish_seen_subcommand_from help' -a "$actions"
complete -c dkms -n '__fish_seen_subcommand_from add build install uninstall unbuild remove status check conf why log history disable enable rollback match mktarball mkdeb mkbmdeb mkdsc mkrpm' -s m -l module -x -a '(__dkms_packages; __dkms_sources)' -d 'the package, with or without its version'
complete -c dkms -n '__fish_seen_subcommand_from add build install uninstall unbuild remove status check conf why log history disable enable match mktarball mkdeb mkbmdeb mkdsc mkrpm' -s v -x -a '(__dkms_versions)' -d 'the package\'s version'
complete -c dkms -n '__fish_seen_subcommand_from add build install uninstall unbuild remove status autoinstall check preflight conf why log history disable enable rollback match mktarball ldtarball mkdeb mkbmdeb mkrpm mksysext generate_mok kernel_preinst kernel_postinst kernel_prerm' -s k -l kernelver -x -a '(__dkms_kernels)' -d 'a kernel release (usually the running one)'
complete -c dkms -n '__fish_seen_subcommand_from add build install uninstall unbuild remove status autoinstall check preflight conf why log history disable enable rollback match mktarball ldtarball mkdeb mkbmdeb mkrpm mksysext generate_mok kernel_preinst kernel_postinst kernel_prerm' -s a -l arch -x -d 'an architecture (default: the machine\'s)'
complete -c dkms -n '__fish_seen_subcommand_from install uninstall unbuild remove mktarball mkdeb mkbmdeb mkrpm' -l all -d 'every kernel concerned'
complete -c dkms -n '__fish_seen_subcommand_from check' -l all-kernels -d 'every kernel that can be booted'
complete -c dkms -n '__fish_seen_subcommand_from check' -l full -d 'read every installed file, and list the initramfs'
complete -c dkms -n '__fish_seen_subcommand_from fsck' -l repair -d 'fix what is found'
complete -c dkms -n '__fish_seen_subcommand_from add build install autoinstall preflight match ldtarball kernel_postinst' -l force -d 'rebuild or reinstall, overriding safety checks'
complete -c dkms -n '__fish_seen_subcommand_from install autoinstall match kernel_postinst' -l force-version-override -d 'install over a newer module of the kernel'
complete -c dkms -n '__fish_seen_subcommand_from build install autoinstall match kernel_postinst' -l force-vermagic -d 'accept a module built for another kernel release'
complete -c dkms -n '__fish_seen_subcommand_from build install autoinstall preflight rollback match kernel_postinst' -s j -x -d 'the number of compile jobs; 0 means no limit'
complete -c dkms -n '__fish_seen_subcommand_from build install autoinstall preflight rollback match kernel_postinst' -l no-isolation -d 'let the package\'s programs run as root, this time'
complete -c dkms -n '__fish_seen_subcommand_from add build install conf mktarball mkdeb mkbmdeb mkdsc mkrpm' -s c -r -F -d 'a dkms.conf to read in place of the package\'s own'
complete -c dkms -n '__fish_seen_subcommand_from add build install uninstall unbuild remove autoinstall check conf why lint match mktarball ldtarball mkdeb mkbmdeb mkdsc mkrpm kernel_preinst kernel_postinst kernel_prerm' -l directive -x -d 'override a directive of dkms.conf; repeatable'
complete -c dkms -n '__fish_seen_subcommand_from add build install uninstall unbuild remove autoinstall check conf why lint match mktarball ldtarball mkdeb mkbmdeb mkdsc mkrpm kernel_preinst kernel_postinst kernel_prerm' -l config -r -F -d 'the kernel\'s configuration'
complete -c dkms -n '__fish_seen_subcommand_from add build install uninstall unbuild remove autoinstall check conf why lint match mktarball ldtarball mkdeb mkbmdeb mkdsc mkrpm kernel_preinst kernel_postinst kernel_prerm' -l kernelsourcedir -x -a '(__fish_complete_directories)' -d 'the kernel\'s build directory'
complete -c dkms -l dkmstree -x -a '(__fish_complete_directories)' -d 'the DKMS tree, by default /var/lib/dkms'
complete -c dkms -l sourcetree -x -a '(__fish_complete_directories)' -d 'where sources are, by default /usr/src'
complete -c dkms -l installtree -x -a '(__fish_complete_directories)' -d 'where kernels have their modules, by default /lib/modules'
complete -c dkms -n '__fish_seen_subcommand_from match' -l templatekernel -x -a '(__dkms_kernels)' -d 'the kernel to copy from'
complete -c dkms -n '__fish_seen_subcommand_from mktarball ldtarball mksysext' -l archive -r -F -d 'the tarball to write or to load, or the image to write'
complete -c dkms -n '__fish_seen_subcommand_from mktarball mkdeb mkrpm' -l binaries-only -d 'pack the builds without the source'
complete -c dkms -n '__fish_seen_subcommand_from mktarball mkdeb mkrpm' -l source-only -d 'pack the source without the builds'
complete -c dkms -n '__fish_seen_subcommand_from install uninstall unbuild remove autoinstall match kernel_preinst kernel_postinst kernel_prerm' -l no-depmod -d 'do not run depmod(8)'
complete -c dkms -n '__fish_seen_subcommand_from install autoinstall match kernel_postinst' -l modprobe-on-install -d 'load modules for the devices of the running kernel'
complete -c dkms -n '__fish_seen_subcommand_from install autoinstall match kernel_postinst' -l symlink-modules -d 'install links into the DKMS tree instead of copies'
complete -c dkms -n '__fish_seen_subcommand_from add build install remove' -l rpm_safe_upgrade -d 'called from the scriptlets of an rpm package'
complete -c dkms -n '__fish_seen_subcommand_from install status autoinstall check preflight conf history lint' -l format -x -a '(__dkms_formats)' -d 'print as text or json; status also as legacy, the lines of dkms 2'
complete -c dkms -n '__fish_seen_subcommand_from log' -s f -l follow -d 'print what a running build writes, until it ends'
complete -c dkms -n '__fish_seen_subcommand_from add build install uninstall unbuild remove autoinstall' -l dry-run -d 'print what would be done and why, and do nothing'
complete -c dkms -n '__fish_seen_subcommand_from preflight' -l next -d 'the kernel that apt would install with the next upgrade'
complete -c dkms -n '__fish_seen_subcommand_from disable' -l reason -x -d 'the reason, shown by status, why and check'
complete -c dkms -l verbose -d 'print commands and details'
complete -c dkms -s q -l quiet -d 'print nothing'
complete -c dkms -l debug -d 'accepted without effect'
complete -c dkms -s V -l version -d 'print the version'
complete -c dkms -s h -l help -d 'print the help; after an action, the help of that action'
# END words
