# What add says when there is nothing to add.
run dkms add
run dkms add foo
run dkms add foo/1.0
says 'Could not find module source directory.' dkms add -m foo -v 1.0
mkdir /usr/src/foo-1.0
run dkms add foo/1.0
says 'does not exist.' dkms add foo/1.0
run dkms add /usr/src/foo-1.0
run dkms add /nowhere/at-all
show
status
