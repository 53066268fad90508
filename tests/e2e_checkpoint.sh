#!/usr/bin/env bash
# A start reads only what the checkpoint does not cover, and knows every id of a client and every
# new user's ratings all the same: after a clean stop, after SIGKILL with a checkpoint made while
# serving, after segments were compressed, and when the checkpoint is damaged, gone, or does not
# belong to these segments.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

small_ratings >ratings.csv
train als
cat >exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
threads = 2
[log]
directory = logs
fsync = always
segment_size = 64KiB
[data]
ratings = ratings.csv
[model als]
file = als.model
[serving]
model = als
k = 5
[metric satisfied]
kind = proportion
event = satisfied
[experiment bias]
status = running
primary = satisfied
[arm bias control]
weight = 0.5
[arm bias treatment]
weight = 0.5
item_bias = 0
INI
load() { "$build"/tests/crash_client "$port" "$@" >/dev/null || fail "strange answers"; } # load PREFIX FILE REQUESTS
knows() { # every id of a feedback event so far counts already, and the new user has a vector
    local id
    while read -r id; do
        [ "$(get -d "{\"id\":\"$id\",\"user\":\"2\",\"event\":\"satisfied\"}" "$url/v1/feedback")" = \
            '{"accepted":0,"duplicates":1}' ] || fail "$1: $id counted again"
    done < <(grep -- '-[0-9]*-[0-9]*[13579]$' acknowledged | sort | awk 'NR % 17 == 1')
    while read -r id; do
        [ "$(report "$id")" = '{"accepted":0,"duplicates":1}' ] || fail "$1: exposure $id counted again"
    done <reported
    get "$url/v1/recommend?user=newcomer" | grep -q '"fallback":"folded"' || fail "$1: the new user is forgotten"
}
report() { get -d "{\"id\":\"$1\",\"user\":\"2\",\"experiment\":\"bias\",\"arm\":\"control\"}" "$url/v1/exposures"; }
report_new() { # report_new ID: an exposure that a client's SDK decided
    [ "$(report "$1")" = '{"accepted":1,"duplicates":0}' ] || fail "exposure $1 is not accepted"
    echo "$1" >>reported
}
read_bytes() { metric abtest_start_log_bytes; }
kill_it() {
    disown "$server"
    kill -9 "$server"
    while kill -0 "$server" 2>/dev/null; do sleep 0.01; done
    server=
}

# 1. A clean stop: the next start reads nothing.
start first
get -d '[{"user":"newcomer","event":"rating","item":"3","value":5},{"user":"newcomer","event":"rating","item":"7","value":1}]' \
    "$url/v1/feedback" | grep -q '"accepted":2' || fail "ratings are not accepted"
report_new x1
load a acknowledged 100
[ ! -e logs/checkpoint ] || fail "a checkpoint after less than a segment"
stop
[ -s logs/checkpoint ] || fail "a clean stop left no checkpoint"
start second
[ "$(read_bytes)" = 0 ] || fail "a start after a clean stop read $(read_bytes) bytes"
knows "clean stop"

# 2. SIGKILL: the start reads what came after the checkpoint that was made while serving.
before=$(stat -c %i logs/checkpoint)
for i in $(seq 1 200); do
    load "b$i" acknowledged 100
    [ "$(stat -c %i logs/checkpoint)" = "$before" ] || break
    sleep 0.05
done
[ "$(stat -c %i logs/checkpoint)" != "$before" ] || fail "no checkpoint while serving"
report_new x2
load c acknowledged 60
kill_it
"$abtest" logs verify logs | tail -n 1 >verify
all=$(sed 's/.* events, \([0-9]*\) bytes.*/\1/' verify)
start third
[ "$(read_bytes)" -gt 0 ] && [ "$(read_bytes)" -lt "$all" ] ||
    fail "a start after SIGKILL read $(read_bytes) of $all bytes"
knows SIGKILL
stop

# 3. Segments that were compressed since are still what was read.
"$abtest" logs compact logs >/dev/null
[ -z "$(find logs -name '*.jsonl')" ] || fail "plain segments are left"
start compact
[ "$(read_bytes)" = 0 ] || fail "a start after compressing read $(read_bytes) bytes"
knows compressed
stop

# 4. Whatever does not fit is not used: the log is read whole.
cp logs/checkpoint good
whole() { # whole WHAT
    start "$1"
    [ "$(read_bytes)" -ge "$all" ] || fail "$1: the start read $(read_bytes) of $all bytes"
    knows "$1"
    stop
}
printf 'x' | dd of=logs/checkpoint bs=1 seek=100 conv=notrunc status=none
whole damaged
head -c 1000 good >logs/checkpoint
whole torn
rm logs/checkpoint
whole gone
segment=$(find logs -name '*.zst' | sort | head -n 1)
touch "$segment" # another file of that name
start changed
[ "$(read_bytes)" -ge "$all" ] || fail "changed: the start read $(read_bytes) of $all bytes"
knows changed
stop
"$abtest" logs verify logs >verify || fail "the log is damaged: $(cat verify)"
echo "checkpoint: all passed"
