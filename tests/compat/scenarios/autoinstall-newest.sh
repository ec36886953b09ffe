# Of several versions the newest.
fast foo 1.0
fast foo 2.0
fast foo 10.0
for v in 1.0 2.0 10.0; do run dkms add foo/$v; done
run dkms autoinstall -k "$K1"
status
