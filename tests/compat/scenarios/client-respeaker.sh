# Directories as answers.
fast foo 1.0
run dkms add -m foo -v 1.0
[ -d "$T/foo/1.0/$K1" ] || echo 'not built'
run dkms build -k "$K1" -m foo -v 1.0
[ -d "$T/foo/1.0/$K1" ] && echo built
[ -d "$T/foo/1.0/$K1/$A/module" ] && echo module
[ -L "$T/foo/1.0/source" ] && echo link
