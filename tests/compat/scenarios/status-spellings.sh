# Ways to name a package.
fast foo 1.0
run dkms add foo/1.0
status foo
status foo/1.0
status -m foo
status -m foo -v 1.0
status -m foo/1.0
status -v 1.0
