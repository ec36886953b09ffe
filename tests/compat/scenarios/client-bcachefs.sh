# Versions from git describe pile up.
for v in 1.0-3-gabc 1.0-12-gdef; do
    fast foo $v
    run dkms build -m foo -v $v -k "$K1" -j 2
    run dkms install -m foo -v $v -k "$K1" -j 2 --force
done
status
run dkms remove foo/1.0-3-gabc --all
status
