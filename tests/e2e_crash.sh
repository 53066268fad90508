#!/usr/bin/env bash
# kill -9 under load, again and again: every event whose answer said "accepted" is in the
# log exactly once, also when the client repeats it after the restart, and nothing there is
# damaged. ROUNDS sets how often (default 4; 50 takes minutes).
set -euo pipefail
abtest=$1
work=$(mktemp -d)
server=
cleanup() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT
fail() { echo "FAILED: $1" >&2; cat "$work/err" >&2 || true; exit 1; }
cd "$work"

{
    echo userId,movieId,rating
    for u in $(seq 1 20); do for i in 1 2 3 4 5 6 7; do echo "$u,$(((u * i) % 30)),$((i % 5 + 1))"; done; done
} | awk -F, '!seen[$1 "," $2]++' >ratings.csv
"$abtest" train als --ratings ratings.csv --model als.model --factors 3 --epochs 2 --quiet >/dev/null
for fsync in no always; do
    cat >exp.ini <<INI
[server]
listen = 127.0.0.1:0
threads = 2
[log]
directory = logs-$fsync
fsync = $fsync
[model als]
file = als.model
[serving]
model = als
[metric m]
kind = proportion
event = e
direction = up
[experiment x]
status = running
primary = m
[arm x a]
weight = 0.5
[arm x b]
weight = 0.5
item_bias = 0
INI
    : >accepted
    for round in $(seq 1 "${ROUNDS:-4}"); do
        : >out
        "$abtest" serve exp.ini >out 2>err &
        server=$!
        for _ in $(seq 1 200); do
            [ -s out ] && break
            kill -0 "$server" 2>/dev/null || fail "round $round: the server did not start"
            sleep 0.05
        done
        url=$(sed -n '1s/^listening on //p' out)
        # The first one repeats what was accepted last, as a client would that saw no answer.
        again=$(tail -1 accepted)
        for client in 1 2 3; do
            for n in $(seq 1 400); do
                id="$round-$client-$n"
                [ "$n$client" = 11 ] && [ -n "$again" ] && id=$again
                printf 'url = "%s/v1/feedback"\ndata = "{\\"id\\":\\"%s\\",\\"user\\":\\"%s\\",\\"event\\":\\"e\\"}"\nwrite-out = "%%{http_code} %s\\n"\noutput = /dev/null\n' \
                    "$url" "$id" "$n" "$id"
                [ "$n" = 400 ] || echo next
            done | curl -s --max-time 20 -K - 2>/dev/null >"codes.$client" || true &
        done
        clients=$(jobs -p | grep -vx "$server")
        while [ "$(cat codes.* 2>/dev/null | grep -c '^200')" -lt 100 ]; do sleep 0.01; done
        kill -9 "$server"
        wait "$server" 2>/dev/null || true
        server=
        # shellcheck disable=SC2086
        wait $clients || true
        sed -n 's/^200 //p' codes.* >>accepted
    done
    "$abtest" logs verify "logs-$fsync" >verified || fail "the log is damaged: $(cat verified)"
    "$abtest" logs cat "logs-$fsync" | jq -r 'select(.type == "feedback") | .id' | sort >logged
    sort -u accepted >wanted
    [ -z "$(comm -23 wanted logged)" ] || fail "accepted and lost: $(comm -23 wanted logged | head -3)"
    [ -z "$(uniq -d logged)" ] || fail "logged twice: $(uniq -d logged | head -3)"
    echo "fsync $fsync: ${ROUNDS:-4} kills, $(wc -l <wanted) accepted, 0 lost, 0 twice"
done
echo "crash: all passed"
