# An error that bash ends a subshell for loses every value: the conf is refused. Others lose their own line.
attempt() {
    real "$1" 1.0 "$2"
    run dkms add "$1/1.0"
    status -m "$1"
}
attempt substitution 'X=${kernel source dir}'
attempt division 'X=$((1/0))'
attempt arithmetic 'X=$((1 +))'
attempt subscript 'STRIP[]=no'
attempt subscript2 'STRIP[-5]=no'
attempt octal 'STRIP[08]=no'
attempt readonly 'readonly X=1; X=2'
attempt unset-needed ': "${NOT_SET:?is needed}"'
attempt nounset 'set -u; X=$NOT_SET'
attempt unknown-command 'no-such-command --version'
attempt return 'return 3'
attempt syntax 'if true; then'
attempt local-outside 'local X=1'
attempt shift 'shift; shift; shift'
attempt killed 'kill -9 $BASHPID'
attempt quotes 'X="$(echo'
# The same in an override: it changes nothing, and the values of the package stay.
real overridden 1.0
mkdir -p /etc/dkms
echo 'X=$((1/0))' >/etc/dkms/overridden.conf
run dkms add overridden/1.0
run dkms build overridden/1.0 -k "$K1"
status -m overridden
