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

# BEGIN words: made from src/cli/action.rs and src/cli/options.rs by "make documents".
_dkms_actions="
            add build install uninstall unbuild remove status autoinstall check preflight fsck conf why log
            history lint disable enable rollback match mktarball ldtarball mkdeb mkbmdeb mkdsc mkrpm mksysext
            generate_mok kernel_preinst kernel_postinst kernel_prerm help
"

_dkms_options() {
    case $1 in
        add)
            echo "
            -m --module -v -k --kernelver -a --arch --force -c --directive --config --kernelsourcedir
            --dkmstree --sourcetree --installtree --rpm_safe_upgrade --dry-run --verbose -q --quiet --debug -V
            --version -h --help
            " ;;
        build)
            echo "
            -m --module -v -k --kernelver -a --arch --force --force-vermagic -j --no-isolation -c --directive
            --config --kernelsourcedir --dkmstree --sourcetree --installtree --rpm_safe_upgrade --dry-run
            --verbose -q --quiet --debug -V --version -h --help
            " ;;
        install)
            echo "
            -m --module -v -k --kernelver -a --arch --all --force --force-version-override --force-vermagic -j
            --no-isolation -c --directive --config --kernelsourcedir --dkmstree --sourcetree --installtree
            --no-depmod --modprobe-on-install --symlink-modules --rpm_safe_upgrade --format --dry-run
            --verbose -q --quiet --debug -V --version -h --help
            " ;;
        uninstall)
            echo "
            -m --module -v -k --kernelver -a --arch --all --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --no-depmod --dry-run --verbose -q --quiet --debug -V --version -h
            --help
            " ;;
        unbuild)
            echo "
            -m --module -v -k --kernelver -a --arch --all --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --no-depmod --dry-run --verbose -q --quiet --debug -V --version -h
            --help
            " ;;
        remove)
            echo "
            -m --module -v -k --kernelver -a --arch --all --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --no-depmod --rpm_safe_upgrade --dry-run --verbose -q --quiet --debug
            -V --version -h --help
            " ;;
        status)
            echo "
            -m --module -v -k --kernelver -a --arch --dkmstree --sourcetree --installtree --format --verbose
            -q --quiet --debug -V --version -h --help
            " ;;
        autoinstall)
            echo "
            -k --kernelver -a --arch --force --force-version-override --force-vermagic -j --no-isolation
            --directive --config --kernelsourcedir --dkmstree --sourcetree --installtree --no-depmod
            --modprobe-on-install --symlink-modules --format --dry-run --verbose -q --quiet --debug -V
            --version -h --help
            " ;;
        check)
            echo "
            -m --module -v -k --kernelver -a --arch --all-kernels --full --directive --config
            --kernelsourcedir --dkmstree --sourcetree --installtree --format --verbose -q --quiet --debug -V
            --version -h --help
            " ;;
        preflight)
            echo "
            -k --kernelver -a --arch --force -j --no-isolation --dkmstree --sourcetree --installtree --format
            --next --verbose -q --quiet --debug -V --version -h --help
            " ;;
        fsck)
            echo "
            --repair --dkmstree --sourcetree --installtree --verbose -q --quiet --debug -V --version -h --help
            " ;;
        conf)
            echo "
            -m --module -v -k --kernelver -a --arch -c --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --format --verbose -q --quiet --debug -V --version -h --help
            " ;;
        why)
            echo "
            -m --module -v -k --kernelver -a --arch --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --verbose -q --quiet --debug -V --version -h --help
            " ;;
        log)
            echo "
            -m --module -v -k --kernelver -a --arch --dkmstree --sourcetree --installtree -f --follow
            --verbose -q --quiet --debug -V --version -h --help
            " ;;
        history)
            echo "
            -m --module -v -k --kernelver -a --arch --dkmstree --sourcetree --installtree --format --verbose
            -q --quiet --debug -V --version -h --help
            " ;;
        lint)
            echo "
            --directive --config --kernelsourcedir --dkmstree --sourcetree --installtree --format --verbose -q
            --quiet --debug -V --version -h --help
            " ;;
        disable)
            echo "
            -m --module -v -k --kernelver -a --arch --dkmstree --sourcetree --installtree --reason --verbose
            -q --quiet --debug -V --version -h --help
            " ;;
        enable)
            echo "
            -m --module -v -k --kernelver -a --arch --dkmstree --sourcetree --installtree --verbose -q --quiet
            --debug -V --version -h --help
            " ;;
        rollback)
            echo "
            -m --module -k --kernelver -a --arch -j --no-isolation --dkmstree --sourcetree --installtree
            --verbose -q --quiet --debug -V --version -h --help
            " ;;
        match)
            echo "
            -m --module -v -k --kernelver -a --arch --force --force-version-override --force-vermagic -j
            --no-isolation --directive --config --kernelsourcedir --dkmstree --sourcetree --installtree
            --templatekernel --no-depmod --modprobe-on-install --symlink-modules --verbose -q --quiet --debug
            -V --version -h --help
            " ;;
        mktarball)
            echo "
            -m --module -v -k --kernelver -a --arch --all -c --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --archive --binaries-only --source-only --verbose -q --quiet --debug -V
            --version -h --help
            " ;;
        ldtarball)
            echo "
            -k --kernelver -a --arch --force --directive --config --kernelsourcedir --dkmstree --sourcetree
            --installtree --archive --verbose -q --quiet --debug -V --version -h --help
            " ;;
        mkdeb)
            echo "
            -m --module -v -k --kernelver -a --arch --all -c --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --binaries-only --source-only --verbose -q --quiet --debug -V --version
            -h --help
            " ;;
        mkbmdeb)
            echo "
            -m --module -v -k --kernelver -a --arch --all -c --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --verbose -q --quiet --debug -V --version -h --help
            " ;;
        mkdsc)
            echo "
            -m --module -v -c --directive --config --kernelsourcedir --dkmstree --sourcetree --installtree
            --verbose -q --quiet --debug -V --version -h --help
            " ;;
        mkrpm)
            echo "
            -m --module -v -k --kernelver -a --arch --all -c --directive --config --kernelsourcedir --dkmstree
            --sourcetree --installtree --binaries-only --source-only --verbose -q --quiet --debug -V --version
            -h --help
            " ;;
        mksysext)
            echo "
            -k --kernelver -a --arch --dkmstree --sourcetree --installtree --archive --verbose -q --quiet
            --debug -V --version -h --help
            " ;;
        generate_mok)
            echo "
            -k --kernelver -a --arch --dkmstree --sourcetree --installtree --verbose -q --quiet --debug -V
            --version -h --help
            " ;;
        kernel_preinst)
            echo "
            -k --kernelver -a --arch --directive --config --kernelsourcedir --dkmstree --sourcetree
            --installtree --no-depmod --verbose -q --quiet --debug -V --version -h --help
            " ;;
        kernel_postinst)
            echo "
            -k --kernelver -a --arch --force --force-version-override --force-vermagic -j --no-isolation
            --directive --config --kernelsourcedir --dkmstree --sourcetree --installtree --no-depmod
            --modprobe-on-install --symlink-modules --verbose -q --quiet --debug -V --version -h --help
            " ;;
        kernel_prerm)
            echo "
            -k --kernelver -a --arch --directive --config --kernelsourcedir --dkmstree --sourcetree
            --installtree --no-depmod --verbose -q --quiet --debug -V --version -h --help
            " ;;
        help)
            echo "
            --dkmstree --sourcetree --installtree --verbose -q --quiet --debug -V --version -h --help
            " ;;
        *)
            echo "
            -m --module -v -k --kernelver -a --arch --all --all-kernels --full --repair --force
            --force-version-override --force-vermagic -j --no-isolation -c --directive --config
            --kernelsourcedir --dkmstree --sourcetree --installtree --templatekernel --archive --binaries-only
            --source-only --no-depmod --modprobe-on-install --symlink-modules --rpm_safe_upgrade --format -f
            --follow --dry-run --next --reason --verbose -q --quiet --debug -V --version -h --help
            " ;;
    esac
}

# What the value of an option is.
_dkms_value() {
    case $1 in
        -m | --module) echo module ;;
        -v) echo version ;;
        -k | --kernelver) echo kernel ;;
        -a | --arch) echo arch ;;
        -j) echo nothing ;;
        -c) echo file ;;
        --directive) echo nothing ;;
        --config) echo file ;;
        --kernelsourcedir) echo directory ;;
        --dkmstree) echo directory ;;
        --sourcetree) echo directory ;;
        --installtree) echo directory ;;
        --templatekernel) echo kernel ;;
        --archive) echo file ;;
        --format) echo format ;;
        --reason) echo nothing ;;
    esac
}

# What an action works on.
_dkms_operand() {
    case $1 in
        add) echo source ;;
        build) echo source ;;
        install) echo source ;;
        uninstall) echo package ;;
        unbuild) echo package ;;
        remove) echo package ;;
        status) echo package ;;
        autoinstall) echo nothing ;;
        check) echo package ;;
        preflight) echo file ;;
        fsck) echo nothing ;;
        conf) echo source ;;
        why) echo package ;;
        log) echo package ;;
        history) echo package ;;
        lint) echo source ;;
        disable) echo package ;;
        enable) echo package ;;
        rollback) echo name ;;
        match) echo nothing ;;
        mktarball) echo package ;;
        ldtarball) echo file ;;
        mkdeb) echo package ;;
        mkbmdeb) echo package ;;
        mkdsc) echo package ;;
        mkrpm) echo package ;;
        mksysext) echo nothing ;;
        generate_mok) echo nothing ;;
        kernel_preinst) echo nothing ;;
        kernel_postinst) echo nothing ;;
        kernel_prerm) echo nothing ;;
        help) echo action ;;
    esac
}
# END words

_dkms_candidates() {
    local cur=$2 package=$3
    case $1 in
        kernel) (cd "${DKMS_COMPLETION_KERNELS:-/lib/modules}" 2>/dev/null && echo *) ;;
        module) _dkms_packages sources | cut -d/ -f1 ;;
        version) _dkms_packages sources | grep "^${package%%/*}/" | cut -d/ -f2 ;;
        arch) uname -m ;;
        words) shift 3 && echo "$@" ;;
        # For which action is the word behind.
        format) case ${4:-} in status | format) echo text legacy json ;; *) echo text json ;; esac ;;
        action) echo "$_dkms_actions" ;;
        package) _dkms_packages ;;
        name) _dkms_packages | cut -d/ -f1 ;;
        source) _dkms_packages sources ;;
    esac
}

_dkms() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev='' action='' package='' word='' before='' kind
    COMPREPLY=()
    if [ "$COMP_CWORD" -gt 0 ]; then prev=${COMP_WORDS[COMP_CWORD - 1]}; fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $before in
            -m | --module) package=$word ;;
            # A word that is no option's value, behind the action.
            *) if [ -n "$action" ] && [ -z "$package" ] && [ "${word#-}" = "$word" ] && [ -z "$(_dkms_value "$before")" ]; then
                package=$word
            fi ;;
        esac
        before=$word
        [ -z "$action" ] || continue
        case " ${_dkms_actions//$'\n'/ } " in *" $word "*) action=$word ;; esac
    done
    kind=$(_dkms_value "$prev")
    if [ "$kind" = format ]; then kind="format $action"; fi
    if [ -z "$kind" ]; then
        case $cur in
            -*) kind="words $(_dkms_options "$action")" ;;
            *) if [ -z "$action" ]; then kind=action; else kind=$(_dkms_operand "$action"); fi ;;
        esac
    fi
    case $kind in
        directory) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        file | source) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    esac
    local candidates
    # shellcheck disable=SC2086 # the kind may carry words
    candidates=$(_dkms_candidates ${kind%% *} "$cur" "$package" ${kind#* })
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$candidates" -- "$cur" | sort -u)
}
complete -o filenames -F _dkms dkms
