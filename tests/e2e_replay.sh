#!/usr/bin/env bash
# abtest replay: a log as it was served holds; another user's arms, changed ratings and a
# changed model do not go unnoticed.
set -euo pipefail
abtest=$1
build=$(dirname "$(dirname "$abtest")")
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT
fail() {
    echo "FAILED: $1" >&2
    cat "$work"/err "$work"/got >&2 || true
    exit 1
}
expect() { # expect STATUS command...: runs it, output in got
    local status=0 wanted=$1
    shift
    "$@" >got 2>>err || status=$?
    [ "$status" -eq "$wanted" ] || fail "exit status $status, not $wanted: $*"
}
says() { grep -qE "$1" got || fail "it does not say: $1"; }
mkdir "$work/home"
cd "$work"

ratings() { # ratings SHIFT
    echo userId,movieId,rating
    for u in $(seq 2 41); do
        for i in $(seq 1 60); do
            [ $((i % u)) -eq 0 ] || [ $(((i + u + $1) % 3)) -ne 0 ] || echo "$u,$i,$(((u * i) % 5 + 1))"
        done
    done
}
ratings 0 >home/ratings.csv
"$abtest" train als --ratings home/ratings.csv --model home/als.model --factors 4 --epochs 2 --quiet >/dev/null
"$abtest" train bpr --ratings home/ratings.csv --model home/bpr.model --factors 4 --epochs 2 --quiet >/dev/null
cat >home/exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
threads = 2
[log]
directory = logs
fsync = no
[data]
ratings = ratings.csv
[model als]
file = als.model
[model bpr]
file = bpr.model
[serving]
model = als
k = 5
[metric satisfied]
kind = proportion
event = satisfied
direction = up
[experiment which]
status = running
primary = satisfied
[arm which als]
weight = 0.5
[arm which bpr]
weight = 0.5
model = bpr
INI
"$abtest" serve home/exp.ini >out 2>err &
server=$!
for _ in $(seq 1 600); do
    port=$(sed -n 's/^listening on http:\/\/127.0.0.1:\([0-9]*\)$/\1/p' out)
    [ -z "$port" ] || break
    kill -0 "$server" 2>/dev/null || fail "the server did not start"
    sleep 0.05
done
"$build"/tests/crash_client "$port" r acknowledged 400 >/dev/null || fail "strange answers"
kill -TERM "$server"
wait "$server" || fail "the server did not end cleanly"
server=

expect 0 "$abtest" replay home/logs --directory home/
says '^2[0-9]{2} exposures: 2[0-9]{2} lists made again, 0 not, 0 reported by clients; 0 different$'
expect 0 "$abtest" replay home/logs --directory home/ --json
says '"lists_unchecked":0,"different":0,"damaged":0}$'

"$build"/tests/forge_log home/logs forged 7
expect 3 "$abtest" replay forged --directory home/
says '^first difference: forged/[^ ]*\.jsonl:[0-9]+: user "7", '

ratings 1 >other.csv
mv home/ratings.csv ratings.csv
mv other.csv home/ratings.csv
expect 3 "$abtest" replay home/logs --directory home/
says '^first difference: .*, place [0-9]: the log says item '
mv ratings.csv home/ratings.csv

"$abtest" train als --ratings home/ratings.csv --model home/als.model --factors 3 --epochs 1 --quiet >/dev/null
expect 0 "$abtest" replay home/logs --directory home/
says '^first list not made again: the list was made by als:[0-9a-f]{16}, here is als:[0-9a-f]{16}$'
says '; 0 different$'

rm home/bpr.model
expect 0 "$abtest" replay home/logs --directory home/
says ' 0 lists made again, '
says '^first list not made again: .*bpr.model'

segment=$(ls -d home/logs/*.jsonl | head -1)
printf 'x' | dd of="$segment" bs=1 seek=$(($(stat -c %s "$segment") / 2)) conv=notrunc 2>/dev/null
expect 3 "$abtest" replay home/logs --directory home/
expect 3 "$abtest" logs verify home/logs
expect 1 "$abtest" replay nowhere
expect 2 "$abtest" replay
echo "replay holds a served log and names what differs"
