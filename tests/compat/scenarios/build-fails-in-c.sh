# A compiler error, and recovery.
real hello 1.0
cp /usr/src/hello-1.0/hello.c /tmp/good.c
echo 'int broken(' >>/usr/src/hello-1.0/hello.c
run dkms install hello/1.0 -k "$K1"
grep -c 'error:' "$T/hello/1.0/build/make.log"
show
status
cp /tmp/good.c /usr/src/hello-1.0/hello.c
run dkms install hello/1.0 -k "$K1"
show
status
