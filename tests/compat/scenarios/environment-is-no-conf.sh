# Variables of the caller are no directives.
fast foo 1.0
export PACKAGE_NAME=bar MAKE=false BUILT_MODULE_NAME=other PRE_BUILD=nothing
run dkms build foo/1.0 -k "$K1"
status
