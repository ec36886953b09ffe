# The package in the working directory.
fast foo 1.0
mv /usr/src/foo-1.0 /srv/foo
cd /srv/foo || exit
run dkms add .
status
ls /usr/src/foo-1.0
