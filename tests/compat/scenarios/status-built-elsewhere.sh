# A kernel that is gone keeps its line.
fast foo 1.0
run dkms build foo/1.0 -k 9.9.9-test --kernelsourcedir "/lib/modules/$K1/build"
status
status -k 9.9.9-test
run dkms remove foo/1.0 --all
status
