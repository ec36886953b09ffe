# -q says nothing.
fast foo 1.0
for action in add build install; do
    run dkms $action -m foo -v 1.0 -k "$K1" -q
    [ -s /compat/out ] && echo 'says something'
done
run dkms remove -m foo -v 1.0 -q --all
[ -s /compat/out ] && echo 'says something'
status
