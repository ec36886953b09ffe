# bash completion for dkms(8)                                -*- shell-script -*-

_dkms_packages() {
    local tree=${DKMS_COMPLETION_TREE:-/var/lib/dkms} sources=${DKMS_COMPLETION_SOURCES:-/usr/src} path conf
    for path in "$tree"/*/*/source; do
        [ -e "$path" ] || [ -L "$path" ] || continue
        path=${path%/source}
        echo "${path#"$tree"/}"
    done
    [ "${1:-}" = sources ] || return 0
    for conf in "$sources"/*/dkms.conf; do
        [ -e "$conf" ] || continue
        path=${conf%/dkms.conf}
        path=${path##*/}
        echo "${path%-*}/${path##*-}"
    done
}

_dkms() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev='' action='' word
    local actions="add build install uninstall unbuild remove status autoinstall match mktarball ldtarball mkdeb mkbmdeb mkdsc mkrpm generate_mok
        kernel_preinst kernel_postinst kernel_prerm conf check fsck"
    local options="-m --module -v -k --kernelver -a --arch --all --all-kernels --full --repair --force --force-version-override --force-vermagic -j -c
        --directive --config --kernelsourcedir --dkmstree --sourcetree --installtree --templatekernel --archive
        --binaries-only --source-only --no-depmod --modprobe-on-install --symlink-modules --rpm_safe_upgrade --format
        --verbose -q --quiet -V --version -h --help"
    COMPREPLY=()
    if [ "$COMP_CWORD" -gt 0 ]; then prev=${COMP_WORDS[COMP_CWORD - 1]}; fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case " ${actions//$'\n'/ } " in *" $word "*) action=$word ;; esac
    done
    local candidates=''
    case $prev in
        -k | --kernelver | --templatekernel)
            candidates=$(cd "${DKMS_COMPLETION_KERNELS:-/lib/modules}" 2>/dev/null && echo *)
            ;;
        -m | --module) candidates=$(_dkms_packages sources | cut -d/ -f1) ;;
        -v) candidates=$(_dkms_packages sources | cut -d/ -f2) ;;
        -a | --arch) candidates=$(uname -m) ;;
        --format) candidates="text legacy json" ;;
        -c | --config | --archive | --kernelsourcedir | --dkmstree | --sourcetree | --installtree)
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        *)
            if [[ $cur == -* ]]; then
                candidates=$options
            elif [ -z "$action" ]; then
                candidates=$actions
            elif [[ $action == @(add|build|install) ]]; then
                candidates=$(_dkms_packages sources)
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            else
                candidates=$(_dkms_packages)
            fi
            ;;
    esac
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$candidates" -- "$cur" | sort -u)
}
complete -o filenames -F _dkms dkms
