#!/bin/bash
# dracut module: what is pending for the kernel is built and installed before any module is selected, and the modules of DKMS
# packages that belong into the image are put there. See dracut.modules(7).

# Called for every image, before all modules' installkernel().
# shellcheck disable=SC2154 # dracut sets kernel and initdir
check() {
    if [[ -x /usr/lib/dkms/initramfs && -z ${DKMS_PACKING_INITRAMFS-} ]]; then
        export DKMS_PACKING_INITRAMFS=yes
        /usr/lib/dkms/initramfs "$kernel" || :
    fi
    # Who lists this module and has removed the programs still gets an image.
    return 0
}

depends() {
    return 0
}

installkernel() {
    local modules
    [[ -x /usr/lib/dkms/initramfs-modules ]] || return 0
    mapfile -t modules < <(/usr/lib/dkms/initramfs-modules "$kernel" "$initdir")
    if ((${#modules[@]})); then
        # Also those that no device of this machine asks for.
        hostonly='' instmods "${modules[@]}"
    fi
}

install() {
    return 0
}
