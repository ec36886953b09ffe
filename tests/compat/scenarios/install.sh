# Install, the same again, and what is where.
fast foo 1.0
run dkms install foo/1.0 -k "$K1"
show
status
says "Module foo/1.0 already installed on kernel $K1 ($A), skip." dkms install foo/1.0 -k "$K1"
grep -c "updates/dkms/foo.ko" "/lib/modules/$K1/modules.dep"
cmp "/lib/modules/$K1/updates/dkms/foo.ko" "$T/foo/1.0/$K1/$A/module/foo.ko" && echo same
status
