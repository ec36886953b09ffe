# shellcheck shell=bash
# Assertions that print `ok NAME` or `not ok NAME: why` and go on; the caller ends with assert_done.
#
#   assert NAME COMMAND...               the command succeeds
#   refute NAME COMMAND...               the command fails
#   assert_equal NAME WANTED GOT         two texts are the same
#   assert_match NAME REGEX TEXT         a line of the text matches the extended regular expression
#   assert_no_match NAME REGEX TEXT      no line does
#   regex TEXT                           prints a regular expression that matches just this text
#   assert_status NAME WANTED COMMAND... the exit status is WANTED; the output is shown when it is not
#   assert_done                          prints "N passed, N failed"; its status is 1 when anything failed

assert_passed=0
assert_failed=0

pass() {
    assert_passed=$((assert_passed + 1))
    printf 'ok %s\n' "$1"
}

fail() {
    assert_failed=$((assert_failed + 1))
    printf 'not ok %s: %s\n' "$1" "$2"
}

assert() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then pass "$name"; else fail "$name" "'$*' failed${output:+: $output}"; fi
}

refute() {
    local name=$1
    shift
    if "$@" >/dev/null 2>&1; then fail "$name" "'$*' succeeded"; else pass "$name"; fi
}

assert_equal() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1" "not as wanted (- wanted, + got)"
        diff -u <(printf '%s\n' "$2") <(printf '%s\n' "$3") | sed '1,3d; s/^/    /' || true
    fi
}

assert_match() {
    if grep -qE -e "$2" <<<"$3"; then
        pass "$1"
    else
        fail "$1" "no line matches /$2/ in:"
        tail -n 30 <<<"$3" | sed 's/^/    /'
    fi
}

assert_no_match() {
    if grep -qE -e "$2" <<<"$3"; then
        fail "$1" "matches /$2/: $(grep -m 3 -E -e "$2" <<<"$3")"
    else
        pass "$1"
    fi
}

# shellcheck disable=SC2001 # each character becomes two
regex() { sed 's/[][\\.^$*+?(){}|]/\\&/g' <<<"$1"; }

assert_status() {
    local name=$1 wanted=$2 output status=0
    shift 2
    output=$("$@" 2>&1) || status=$?
    if [ "$status" = "$wanted" ]; then
        pass "$name"
    else
        fail "$name" "'$*' ended with $status, not $wanted:"
        tail -n 30 <<<"$output" | sed 's/^/    /'
    fi
}

assert_done() {
    printf '%s passed, %s failed\n' "$assert_passed" "$assert_failed"
    [ "$assert_failed" = 0 ]
}
