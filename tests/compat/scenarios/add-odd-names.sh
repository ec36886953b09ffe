# Names and versions as the field has them.
for id in foo-bar/1.0~rc1 foo_bar/2.0+git20240101 a.b/0 r8168/8.053.00; do
    fast "${id%/*}" "${id#*/}"
    run dkms add "$id"
done
status
run dkms build foo-bar/1.0~rc1 -k "$K1"
status foo-bar
