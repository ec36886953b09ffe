# fish completion for dkms(8)

function __dkms_packages
    for path in /var/lib/dkms/*/*/source
        string replace -r '^/var/lib/dkms/(.*)/source$' '$1' $path
    end
    for conf in /usr/src/*/dkms.conf
        string replace -r '^/usr/src/(.*)-([^-/]*)/dkms.conf$' '$1/$2' $conf
    end
end

set -l actions add build install uninstall unbuild remove status autoinstall match mktarball ldtarball mkdeb mkbmdeb mkdsc mkrpm generate_mok kernel_preinst kernel_postinst kernel_prerm conf check fsck

complete -c dkms -f
complete -c dkms -n "not __fish_seen_subcommand_from $actions" -a "$actions"
complete -c dkms -n "__fish_seen_subcommand_from $actions" -a '(__dkms_packages)'
complete -c dkms -s m -l module -x -a '(__dkms_packages)' -d 'The package'
complete -c dkms -s v -x -d 'Its version'
complete -c dkms -s k -l kernelver -x -a '(path basename /lib/modules/*)' -d 'A kernel'
complete -c dkms -s a -l arch -x -d 'An architecture'
complete -c dkms -l all -d 'All kernels it is built for'
complete -c dkms -l force -d 'Over what would refuse it'
complete -c dkms -l force-version-override -d 'Over a newer module of the kernel'
complete -c dkms -l all-kernels -d 'Every kernel that could be booted'
complete -c dkms -l full -d 'Read every file'
complete -c dkms -l repair -d 'Put in order what is found'
complete -c dkms -l force-vermagic -d 'Take a module of another kernel'
complete -c dkms -s j -x -d 'Compile jobs'
complete -c dkms -s c -r -F -d 'A dkms.conf'
complete -c dkms -l directive -x -d 'NAME=VALUE'
complete -c dkms -l templatekernel -x -a '(path basename /lib/modules/*)' -d 'The kernel to copy from'
complete -c dkms -l archive -r -F -d 'A tarball'
complete -c dkms -l format -x -a 'text legacy json' -d 'How to print'
complete -c dkms -l no-depmod -d 'Do not run depmod'
complete -c dkms -l verbose -d 'Say more'
complete -c dkms -s q -l quiet -d 'Say nothing'
