# A source with nothing in it but a conf.
package foo 1.0
rm /usr/src/foo-1.0/hello.c /usr/src/foo-1.0/Makefile
run dkms build foo/1.0 -k "$K1"
