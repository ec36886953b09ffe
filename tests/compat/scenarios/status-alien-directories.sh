# Directories of others in the tree.
fast foo 1.0
run dkms add foo/1.0
mkdir -p "$T/vbox-temp" "$T/a/b/c" "$T/foo/notes"
status
run dkms remove foo/1.0 --all
