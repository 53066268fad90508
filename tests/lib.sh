# shellcheck shell=bash
# lib.sh - what the end-to-end tests share: a scratch directory to work in, small data, commands
# whose exit status counts, a server that is started and stopped, failures that show what was said.
# Sourced with the path of the program as the first argument:
#
#     . "$(dirname "$0")/lib.sh" "$1"
#
# Sets abtest, build, here (the folder of the tests), work; goes to $work.
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
abtest=$(realpath "${1:?path of abtest}")
build=$(dirname "$(dirname "$abtest")")
work=$(mktemp -d)
server=
launch=() # command that the server runs under: env NAME=VALUE, prlimit ...
cleanup() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    ! declare -F at_end >/dev/null || at_end # what a test wants undone besides
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT
fail() {
    echo "FAILED: $1" >&2
    tail -n 8 "$work"/err* >&2 2>/dev/null || true
    exit 1
}
skip() { # what the test needs is not there
    echo "skipped: $1"
    exit 77
}
cd "$work" || exit 1

exits() { # exits STATUS command...: what it prints goes to out, what it complains of to err
    local status=0 wanted=$1
    shift
    "$@" >out 2>err || status=$?
    [ "$status" -eq "$wanted" ] || fail "exit status $status, not $wanted: $*: $(head -n 20 out err)"
}
says() { # says REGEX [FILE]: out, or FILE, has such a line
    grep -qE -- "$1" "${2:-out}" || fail "it does not say \"$1\": $(head -n 20 "${2:-out}")"
}
equal() { # equal WHAT ACTUAL EXPECTED
    [ "$2" = "$3" ] || fail "$1: got $2, not $3"
}

# Not grep -q: it would close the pipe on nm, which pipefail takes for a failure.
is_sanitized() { nm "$abtest" 2>/dev/null | grep -E '__asan_init|__tsan_init' >/dev/null; }

# 40 users, 60 items; user u has rated items that u does not divide. Another SHIFT, other items.
small_ratings() { # small_ratings [SHIFT]
    echo userId,movieId,rating
    for u in $(seq 2 41); do
        for i in $(seq 1 60); do
            [ $((i % u)) -eq 0 ] || [ $(((i + u + ${1:-0}) % 3)) -ne 0 ] || echo "$u,$i,$(((u * i) % 5 + 1))"
        done
    done
}

# train KIND [options]: KIND.model from ratings.csv.
train() {
    local kind=$1
    shift
    "$abtest" train "$kind" --ratings ratings.csv --model "$kind.model" --factors 4 --epochs 2 --quiet "$@" >/dev/null
}

# What a config says of the two models that were trained, and of what users are to do.
models_and_metric() {
    cat <<'INI'
[model als]
file = als.model
[model bpr]
file = bpr.model
[metric satisfied]
kind = proportion
event = satisfied
direction = up
INI
}

# start NAME [options]: serves ${config:-exp.ini}; sets server, url and port. What it says goes to
# out.NAME and err.NAME.
start() {
    local name=$1
    shift
    : >"out.$name"
    "${launch[@]}" "$abtest" serve "${config:-exp.ini}" "$@" >"out.$name" 2>>"err.$name" &
    server=$!
    for _ in $(seq 1 1200); do
        [ ! -s "out.$name" ] || break
        kill -0 "$server" 2>/dev/null || fail "the server did not start"
        sleep 0.05
    done
    url=$(sed -n '1s/^listening on //p' "out.$name")
    port=${url##*:}
    [ -n "$url" ] || fail "the first line is not \"listening on ...\""
}
stop() {
    local status=0
    kill -TERM "$server"
    wait "$server" || status=$?
    server=
    [ "$status" -eq 0 ] || fail "exit status $status after SIGTERM"
}
get() { curl -s --max-time 10 "$@"; }
status_of() { curl -s --max-time 10 -o body -w '%{http_code}' "$@"; }
expect() { # expect STATUS WORDS curl-arguments...
    local wanted=$1 words=$2 status
    shift 2
    status=$(status_of "$@") || true
    [ "$status" = "$wanted" ] || fail "$*: $status, not $wanted: $(cat body)"
    grep -q -- "$words" body || fail "$*: the answer does not say \"$words\": $(cat body)"
}
# eventually STATUS curl-arguments...: the answer becomes STATUS.
eventually() {
    local wanted=$1 status=
    shift
    for _ in $(seq 1 600); do
        status=$(status_of "$@") || true
        [ "$status" != "$wanted" ] || return 0
        sleep 0.05
    done
    fail "$*: still $status, not $wanted"
}
metric() { # metric NAME: its value in /metrics
    get "$url/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}
