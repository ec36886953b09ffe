# Names as wildcards.
fast foo 1.0
fast food 1.0
run dkms add foo/1.0
run dkms add food/1.0
status 'foo*'
status -m 'fo?'
status -m foo -v '*'
