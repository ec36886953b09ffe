# Which variables every program finds that is started, and where: make, the scripts, and the tool that signs. KERNEL_CC and
# KERNEL_LD came after 3.0.10, and only 3.4.3 lets the tool sign in the build directory: tests/cases/environment.rs has these.
tell() {
    printf '#!/bin/sh\n{ echo "%s in $(pwd -P)"\nenv | grep -E "^(module|module_version|kernelver|arch|CC|LD|LLVM|FROM_CALLER|MAKEFILES|BASH_ENV|CROSS_COMPILE|dkms_tree|source_tree|kernel_source_dir)=" | sort; } >>/compat/told\n' "$1" >"$2"
    chmod 755 "$2"
}
told() {
    echo "  $1:"
    sed 's/^/    /' /compat/told
    : >/compat/told
}
: >/compat/told
fast told 1.0 PRE_BUILD=pre_build POST_BUILD=post_build PRE_INSTALL=pre_install POST_INSTALL=post_install POST_ADD=post_add POST_REMOVE=post_remove \
    "MAKE[0]=\"./make_it; cp ready.bin told.ko\""
for script in pre_build post_build pre_install post_install post_add post_remove make_it; do
    tell $script /usr/src/told-1.0/$script
done
tell sign_tool /root/sign_tool
sed -i 's/ in $(pwd -P)//' /root/sign_tool
mkdir -p /etc/dkms/framework.conf.d
printf 'sign_file="/root/sign_tool"\nsign_tool="/root/sign_tool"\ntry_sign_modules="true"\n' >/etc/dkms/framework.conf.d/told.conf
export FROM_CALLER=yes
run dkms add told/1.0
told "add"
run dkms build told/1.0 -k "$K1"
told "build"
run dkms install told/1.0 -k "$K1"
told "install"
run dkms uninstall told/1.0 -k "$K1"
told "uninstall"
run dkms remove told/1.0 --all
told "remove"
run dkms install told/1.0 -k "$K1"
told "install that builds and adds"
run dkms remove told/1.0 --all
told "remove"
run dkms add told/1.0
: >/compat/told
run dkms autoinstall -k "$K1"
told "autoinstall"
