# POST_BUILD finds the result in its place.
fast foo 1.0 'POST_BUILD="post.sh $dkms_tree/foo/1.0/$kernelver/$arch"'
printf '#!/bin/sh\nls "$1/module" >/tmp/seen; touch "$1/dropped"\n' >/usr/src/foo-1.0/post.sh
chmod 755 /usr/src/foo-1.0/post.sh
run dkms build foo/1.0 -k "$K1"
cat /tmp/seen
ls "$T/foo/1.0/$K1/$A"
