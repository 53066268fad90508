#!/usr/bin/env bash
# In the steady state no request allocates: every malloc of the whole program is counted, those
# inside libraries too, between one request and many later ones on a connection that stays.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"
! is_sanitized || skip "a sanitizer's runtime wants to be the first library"
small_ratings >ratings.csv
train als
train bpr
{ models_and_metric; cat; } >exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
threads = 1
access_log = access.log
[log]
directory = logs
[data]
ratings = ratings.csv
[experiment which]
status = running
primary = satisfied
[arm which als]
weight = 0.5
[arm which bpr]
weight = 0.5
model = bpr
[experiment likeness]
status = running
primary = satisfied
[arm likeness plain]
weight = 0.5
[arm likeness diverse]
weight = 0.5
diversity = 0.3
explore = 0.1
INI
head -c 8 /dev/zero >counter
launch=(env "LD_PRELOAD=$build/tests/libcount_alloc.so" "COUNT_ALLOC_FILE=$work/counter")
start count
allocations() { od -An -t u8 counter | tr -d ' '; }
exec 7<>"/dev/tcp/127.0.0.1/$port"

recommend() { # recommend FIRST LAST: users who know something, and who do not
    local i
    for i in $(seq "$1" "$2"); do printf 'GET /v1/recommend?user=%d&k=%d HTTP/1.1\r\nHost: x\r\n\r\n' $((i % 60)) $((5 + i % 6)); done
}
feedback() { # feedback FIRST LAST: each event has an id of its own, every tenth is a retry
    local i body
    for i in $(seq "$1" "$2"); do
        body="{\"id\":\"f$((i - (i % 10 == 0)))\",\"user\":\"$((i % 60))\",\"event\":\"satisfied\",\"value\":1,\"item\":\"$((i % 60))\"}"
        printf 'POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s' "${#body}" "$body"
    done
}
answers() { # answers N: reads so many, all 200
    local n line length
    for n in $(seq 1 "$1"); do
        IFS= read -r -t 20 -u 7 line || fail "answer $n of $1 does not come"
        [ "$line" = $'HTTP/1.1 200 OK\r' ] || fail "answer $n of $1: $line"
        length=0
        while IFS= read -r -t 20 -u 7 line && [ "$line" != $'\r' ]; do
            case $line in Content-Length:*) length=${line//[!0-9]/} ;; esac
        done
        IFS= read -r -t 20 -N "$length" -u 7 line
    done
}
# measure NAME FUNCTION: 400 requests, in bunches of 20 and alone. Buffers grow to the largest batch
# that has come, so a round may still see one grow; what is done for a request is seen in every round.
last=0
measure() {
    local before at round
    for round in 1 2 3 4 5 6; do
        before=$(allocations)
        for at in $(seq 0 20 360); do
            "$2" $((last + at + 1)) $((last + at + 20)) >&7
            answers 20
        done
        for at in $(seq 381 400); do
            "$2" $((last + at)) $((last + at)) >&7
            answers 1
        done
        last=$((last + 400))
        n_allocations=$(($(allocations) - before))
        [ "$before" -gt 0 ] || fail "nothing is counted"
        [ "$round" -eq 1 ] || [ "$n_allocations" -gt 0 ] || break
    done
    echo "$1: $n_allocations allocations in 400 requests, after $((400 * (round - 1))) to warm up"
    [ "$n_allocations" -eq 0 ] || fail "$1 allocates"
}
measure '/v1/recommend, two experiments' recommend
measure '/v1/feedback' feedback
exec 7>&- 7<&-
stop
echo "allocations: all passed"
