# The order of names and versions.
for v in 10.0 9.0 1.0; do
    fast foo $v
    run dkms add foo/$v
done
fast bar 1.0
run dkms add bar/1.0
status
