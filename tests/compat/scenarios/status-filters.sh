# Every spelling of a filter.
fast foo 1.0
fast foo 10.0
fast foo 9.0
fast bar-baz 1.0-rc1
for package in foo/1.0 foo/10.0 foo/9.0 bar-baz/1.0-rc1; do run dkms add $package; done
run dkms install foo/1.0 -k "$K1"
run dkms build foo/9.0 -k "$K2"
run dkms install bar-baz/1.0-rc1 -k "$K2"
status
status foo
status foo/1.0
status foo/9.0 -k "$K2"
status -m foo
status -m foo/10.0
status -m foo -v 9.0
status --module=foo
status --module foo
status --modulexyz foo
status foo -v 10.0
status -k "$K1"
status -k "$K2/$A"
status --kernelver "$K1"
status --kernelver="$K1" foo
status -a "$A"
status --arch="$A" -k "$K2"
status -a amd64
status -k "$K1" -k "$K2"
status --all
status nosuch
status foo/nosuch
status -k nosuch
status 'f*'
status -m 'f*' -v '9*'
status --verbose foo
status -q
status '' foo
status foo ''
