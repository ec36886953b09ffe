# --kernelsourcedir for a kernel that is not here.
fast foo 1.0
run dkms build foo/1.0 -k 9.9.9-test --kernelsourcedir "/lib/modules/$K1/build"
status
show
