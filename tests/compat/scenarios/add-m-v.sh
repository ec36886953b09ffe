# The package named by options.
fast foo 1.0
run dkms add -m foo -v 1.0
status
show
