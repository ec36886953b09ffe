# What scripts make of it.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
dkms status | awk -F, '{print $1}' | awk -F/ '{print $2}'
dkms status -m foo | tr -d , | tr -d : | tr / ' ' | cut -d' ' -f2
dkms status foo | head -n1 | tr -s ',:/' ' ' | cut -d' ' -f2
dkms status | while IFS='/,: ' read -r name version kernel _; do echo "$name $version $kernel"; done
dkms status -m foo -v 1.0 -k "$K1" | grep -c ': installed'
