#!/usr/bin/env bash
# What the server acknowledged under `fsync = always` is in the log once, whatever kills it:
# rounds of SIGKILL under load, rounds in which everything that was not synced is thrown away
# as well, rounds in which syncs fail, and a disk that fills up. CRASH_ROUNDS=50 for the long
# form; the default is what CI has time for.
set -euo pipefail
abtest=$1
here=$(cd "$(dirname "$0")" && pwd)
build=$(dirname "$(dirname "$abtest")")
rounds=${CRASH_ROUNDS:-3}
RANDOM=${CRASH_SEED:-7}
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    mountpoint -q "$work/small" && umount "$work/small"
    [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT
fail() {
    echo "FAILED: $1" >&2
    tail -n 5 "$work"/err >&2 || true
    exit 1
}
cd "$work"

{
    echo userId,movieId,rating
    for u in $(seq 2 41); do
        for i in $(seq 1 60); do
            [ $((i % u)) -eq 0 ] || [ $(((i + u) % 3)) -ne 0 ] || echo "$u,$i,$(((u * i) % 5 + 1))"
        done
    done
} >ratings.csv
"$abtest" train als --ratings ratings.csv --model als.model --factors 4 --epochs 2 --quiet >/dev/null

config() { # config LOGS
    cat <<INI
[server]
listen = 127.0.0.1:0
threads = 2
[log]
directory = $1
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
direction = up
[experiment bias]
status = running
primary = satisfied
[arm bias control]
weight = 0.5
[arm bias treatment]
weight = 0.5
item_bias = 0
INI
}

start() { # start [NAME=VALUE ...]: the server on exp.ini with that environment
    : >out
    env "$@" "$abtest" serve exp.ini >out 2>>err &
    server=$!
    for _ in $(seq 1 600); do
        port=$(sed -n 's/^listening on http:\/\/127.0.0.1:\([0-9]*\)$/\1/p' out)
        [ -z "$port" ] || return 0
        kill -0 "$server" 2>/dev/null || fail "the server did not start"
        sleep 0.05
    done
    fail "the server does not listen"
}

gone() { # the server was killed
    while kill -0 "$server" 2>/dev/null; do sleep 0.01; done
    server=
}

stop() {
    kill -TERM "$server"
    wait "$server" || fail "the server did not end cleanly"
    server=
}

# Takes away what a power cut takes away: names that no sync of their directory has made
# durable, renames likewise, and of each file what is behind its last sync, all of it or up to
# a point inside it, as CUT says.
cut_power() { # cut_power JOURNAL
    [ -f "$1" ] || return 0
    awk '
        $1 == "created" { fresh[$2] = 1; size[$2] = 0 }
        $1 == "synced"  { size[$2] = $3 }
        $1 == "named"   { for (p in fresh) { d = p; sub("/[^/]*$", "", d); if (d == $2) delete fresh[p] }
                          for (n in old) { d = n; sub("/[^/]*$", "", d); if (d == $2) delete old[n] } }
        $1 == "renamed" { old[$3] = $2; size[$3] = size[$2]; delete size[$2]
                          if ($2 in fresh) { was_fresh[$3] = 1; delete fresh[$2] } }
        END { for (n in old) print "back", n, old[n]
              for (p in fresh) print "gone", p, 0
              for (p in size) if (!(p in fresh)) print "keep", p, size[p] }' "$1" |
        while read -r what path arg; do
            [ -f "$path" ] || continue
            case $what in
            back) rm -f "$path" ;; # both of its names are ours to lose: a compressed segment
            gone) rm -f "$path" ;;
            keep)
                now=$(stat -c %s "$path")
                [ "$now" -gt "$arg" ] || continue
                lost=$((now - arg))
                [ $((RANDOM % 2)) -eq 0 ] || arg=$((arg + RANDOM % lost))
                truncate -s "$arg" "$path"
                ;;
            esac
        done
    rm -f "$1"
}

check() { # check LOGS ACKNOWLEDGED: all there, all once, all readable
    "$abtest" logs verify "$1" >verify || { cat verify; fail "the log is damaged"; }
    "$abtest" logs cat "$1" 2>>err | sed 's/.*"id":"\([^"]*\)".*/\1/' | sort >ids
    [ -z "$(uniq -d ids)" ] || fail "events are there twice: $(uniq -d ids | head -3)"
    sort "$2" >acknowledged.sorted
    lost=$(comm -23 acknowledged.sorted ids | wc -l)
    [ "$lost" -eq 0 ] || fail "$lost acknowledged events are lost"
    echo "$3: $(wc -l <"$2") acknowledged, $(wc -l <ids) in the log, 0 lost, 0 twice, 0 unreadable"
}

config logs >exp.ini

# 1. SIGKILL.
for round in $(seq 1 "$rounds"); do
    start
    disown "$server" # or bash reports its death
    "$build"/tests/crash_client "$port" "k$round" acknowledged $((50 + RANDOM % 400)) "$server" >/dev/null || fail "strange answers"
    gone
done
start && stop
check logs acknowledged "$rounds rounds of SIGKILL"

# A sanitizer's runtime wants to be the first library, so the rest is for plain builds.
if [ "$(nm "$abtest" 2>/dev/null | grep -cE '__asan_init|__tsan_init')" -gt 0 ]; then
    echo "sanitized build: no power cuts"
    exit 0
fi

# 2. SIGKILL and a power cut.
preload=LD_PRELOAD=$build/tests/libpower_cut.so
journal=$work/journal
rm -rf logs acknowledged
for round in $(seq 1 "$rounds"); do
    start "$preload" "POWER_CUT_JOURNAL=$journal"
    disown "$server"
    "$build"/tests/crash_client "$port" "p$round" acknowledged $((50 + RANDOM % 400)) "$server" >/dev/null || fail "strange answers"
    gone
    cut_power "$journal"
done
start && stop
check logs acknowledged "$rounds rounds of SIGKILL and power cut"

# 3. Every tenth sync fails: the batch goes to another segment, nobody is refused.
rm -rf logs acknowledged
start "$preload" POWER_CUT_FAIL=10
read -r n_done n_refused < <("$build"/tests/crash_client "$port" f acknowledged 300)
stop
[ "$n_done" -ge 300 ] && [ "$n_refused" -eq 0 ] || fail "$n_done acknowledged, $n_refused refused"
grep -q "sealed at" err || fail "no segment was sealed"
check logs acknowledged "every tenth sync failing"

# 4. A disk that fills up, if this machine lets us mount one.
mkdir small
if mount -t tmpfs -o size=1m tmpfs small 2>/dev/null; then
    rm -f acknowledged
    config "$work/small/logs" >exp.ini
    head -c 700000 /dev/zero >small/filler
    start
    while :; do
        read -r _ n_refused < <("$build"/tests/crash_client "$port" "s$RANDOM$RANDOM" acknowledged 200)
        [ "$n_refused" -eq 0 ] || break
    done
    kill -0 "$server" || fail "the server died of a full disk"
    rm small/filler
    read -r n_done n_refused < <("$build"/tests/crash_client "$port" r acknowledged 100)
    [ "$n_done" -ge 100 ] && [ "$n_refused" -eq 0 ] || fail "service did not resume: $n_done, $n_refused refused"
    stop
    check small/logs acknowledged "a full disk, then room again"
else
    echo "cannot mount here: no full disk"
fi
