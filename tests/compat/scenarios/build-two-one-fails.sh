# Two packages, one of which fails: each by itself.
fast bad 1.0 'MAKE[0]="false"'
fast good 1.0
run dkms build bad/1.0 -k "$K1"
run dkms build good/1.0 -k "$K1"
status
