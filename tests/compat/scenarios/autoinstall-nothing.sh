# Nothing pending: no output.
run dkms autoinstall -k "$K1"
fast foo 1.0 'AUTOINSTALL="no"'
run dkms add foo/1.0
run dkms autoinstall -k "$K1"
meant autoinstall-no dkms status
