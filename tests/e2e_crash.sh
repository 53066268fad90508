#!/usr/bin/env bash
# What the server acknowledged is in the log once, whatever kills it: rounds of SIGKILL under
# load with and without `fsync = always`, rounds in which everything that was not synced is
# thrown away as well, rounds in which writes and syncs fail, a disk that is gone for a while,
# and one that fills up. CRASH_ROUNDS=50 for the long form; the default is what CI has time for.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"
rounds=${CRASH_ROUNDS:-3}
RANDOM=${CRASH_SEED:-7}
at_end() { ! mountpoint -q "$work/small" || umount "$work/small"; }

small_ratings >ratings.csv
train als

write_config() { # write_config LOGS [FSYNC]
    cat <<INI
[server]
listen = 127.0.0.1:0
threads = 2
[log]
directory = $1
fsync = ${2:-always}
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

gone() { # the server was killed
    while kill -0 "$server" 2>/dev/null; do sleep 0.01; done
    server=
}
load() { "$build"/tests/crash_client "$port" "$@" || fail "strange answers"; } # load PREFIX FILE REQUESTS [PID]
kill_under_load() { # kill_under_load PREFIX: after some hundreds of answers
    disown "$server" # or bash reports its death
    load "$1" acknowledged $((50 + RANDOM % 400)) "$server" >/dev/null
    gone
}
# A client that saw no answer sends its event again, maybe to the next server.
repeat_last() {
    local id
    id=$(grep -- '-[0-9]*-[0-9]*[13579]$' acknowledged | tail -n 1) # of a feedback event
    [ -n "$id" ] || return 0
    [ "$(get -d "{\"id\":\"$id\",\"user\":\"2\",\"event\":\"satisfied\"}" "$url/v1/feedback")" = \
        '{"accepted":0,"duplicates":1}' ] || fail "$id counted again after a restart"
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
    "$abtest" logs verify "$1" >verify || fail "the log is damaged: $(cat verify)"
    "$abtest" logs cat "$1" 2>>err | sed 's/.*"id":"\([^"]*\)".*/\1/' | sort >ids
    [ -z "$(uniq -d ids)" ] || fail "events are there twice: $(uniq -d ids | head -3)"
    sort "$2" >acknowledged.sorted
    lost=$(comm -23 acknowledged.sorted ids | wc -l)
    [ "$lost" -eq 0 ] || fail "$lost acknowledged events are lost"
    echo "$3: $(wc -l <"$2") acknowledged, $(wc -l <ids) in the log, 0 lost, 0 twice, 0 unreadable"
}

# 1. SIGKILL: an answer leaves after the write, so even `no` loses nothing.
for fsync in no always; do
    write_config "logs-$fsync" "$fsync" >exp.ini
    rm -f acknowledged
    for round in $(seq 1 "$rounds"); do
        start kill
        [ "$round" = 1 ] || repeat_last
        kill_under_load "k$round"
    done
    start kill && stop
    check "logs-$fsync" acknowledged "fsync $fsync, $rounds rounds of SIGKILL"
done

# 2. A disk that fills up, if this machine lets us mount one.
mkdir small
if mount -t tmpfs -o size=1m tmpfs small 2>/dev/null; then
    rm -f acknowledged
    write_config "$work/small/logs" >exp.ini
    head -c 700000 /dev/zero >small/filler
    start full
    expect 200 ready "$url/readyz"
    while :; do
        read -r _ n_refused < <(load "s$RANDOM$RANDOM" acknowledged 200)
        [ "$n_refused" -eq 0 ] || break
    done
    head -c 2000000 /dev/zero >>small/filler 2>/dev/null || true # the last page too
    read -r _ n_refused < <(load t acknowledged 200)
    [ "$n_refused" -gt 0 ] || fail "a full disk refused nothing"
    kill -0 "$server" || fail "the server died of a full disk"
    expect 503 'the event log cannot be written' "$url/readyz"
    expect 200 ok "$url/healthz"
    [ "$(metric abtest_degraded)" = 1 ] || fail "not degraded on a full disk"
    rm small/filler
    read -r n_done n_refused < <(load r acknowledged 100)
    [ "$n_done" -ge 100 ] && [ "$n_refused" -eq 0 ] || fail "service did not resume: $n_done, $n_refused refused"
    eventually 200 "$url/readyz" # within a second
    stop
    check small/logs acknowledged "a full disk, then room again"
else
    echo "cannot mount here: no full disk"
fi

# A sanitizer's runtime wants to be the first library, so the rest is for plain builds.
if is_sanitized; then
    echo "sanitized build: no power cuts"
    exit 0
fi

# 3. SIGKILL and a power cut.
write_config logs >exp.ini
preload=LD_PRELOAD=$build/tests/libpower_cut.so
journal=$work/journal
launch=(env "$preload" "POWER_CUT_JOURNAL=$journal")
rm -f acknowledged
for round in $(seq 1 "$rounds"); do
    start cut
    [ "$round" = 1 ] || repeat_last
    kill_under_load "p$round"
    cut_power "$journal"
done
launch=()
start cut && stop
check logs acknowledged "$rounds rounds of SIGKILL and power cut"

# 4. Every tenth sync or write fails: the batch goes to another segment, nobody is refused.
for failing in POWER_CUT_FAIL=10 POWER_CUT_FAIL_WRITES=10; do
    rm -rf logs acknowledged
    launch=(env "$preload" "$failing")
    start "$failing"
    read -r n_done n_refused < <(load f acknowledged 300)
    stop
    [ "$n_done" -ge 300 ] && [ "$n_refused" -eq 0 ] || fail "$failing: $n_done acknowledged, $n_refused refused"
    grep -q "sealed at" "err.$failing" || fail "$failing: no segment was sealed"
    check logs acknowledged "$failing"
done

# 5. The disk is gone for a while: what cannot be logged is refused, reads go on, and service
# resumes without help when the disk is back.
for fsync in everysec always; do
    rm -rf logs acknowledged
    write_config logs "$fsync" >exp.ini
    launch=(env "$preload" "POWER_CUT_SWITCH=$work/broken")
    start "gone-$fsync"
    load a acknowledged 50 >/dev/null
    touch broken
    read -r n_done n_refused < <(load b acknowledged 100)
    [ "$n_done" -eq 0 ] && [ "$n_refused" -ge 100 ] || fail "no disk: $n_done acknowledged, $n_refused refused"
    expect 503 'cannot be written' "$url/v1/recommend?user=2"
    curl -sD headers -o /dev/null "$url/v1/recommend?user=2"
    grep -qi '^retry-after: ' headers || fail "a 503 does not say when to come back"
    expect 503 'cannot be written' "$url/readyz"
    expect 200 assignments "$url/v1/assignments?user=2"
    # What was refused leaves no trace: neither in the lists nor in the counts. And that an event was
    # logged before says nothing of the disk now.
    for item in 3 6 9; do
        expect 503 'cannot be written' -d "{\"user\":\"ghost\",\"event\":\"rating\",\"item\":\"$item\",\"value\":5}" "$url/v1/feedback"
    done
    known=$(grep -- '-[0-9]*-[0-9]*[13579]$' acknowledged | head -n 1)
    for _ in 1 2 3 4 5 6; do # of both threads
        expect 200 '"duplicates":1' -d "{\"id\":\"$known\",\"user\":\"2\",\"event\":\"satisfied\"}" "$url/v1/feedback"
    done
    expect 503 'cannot be written' "$url/readyz"
    # Without traffic it stays so, however long: nobody is sent here to be refused.
    [ "$fsync" = everysec ] || sleep 6
    expect 503 'cannot be written' "$url/readyz"
    counted=$(get "$url/metrics" | awk '/^abtest_exposures_total/ { n += $2 } END { print n + 0 }')
    "$abtest" logs cat logs >events
    [ "$counted" -eq "$(grep -c '"type":"exposure".*"assignments":{"' events)" ] || fail "$counted exposures are counted, others logged"
    rm broken
    eventually 200 "$url/readyz" # nor is traffic needed to see that the disk is back
    [ ! -e logs/trial ] || fail "a trial of the disk is left"
    read -r n_done n_refused < <(load c acknowledged 100)
    [ "$n_done" -ge 100 ] && [ "$n_refused" -eq 0 ] || fail "service did not resume: $n_done, $n_refused refused"
    get "$url/v1/recommend?user=ghost" | grep -q '"fallback":"popular"' || fail "ratings count that were refused"
    eventually 200 "$url/readyz" # within a second
    kill -TERM "$server"
    # A process that cannot say that all of it reached the disk does not say 0.
    wait "$server" || [ "$fsync" = everysec ] || fail "exit status $?"
    server=
    [ "$fsync" = always ] || grep -q 'could not be synced' "err.gone-$fsync" || fail "a failed sync is not told"
    jq -e .message "err.gone-$fsync" >/dev/null || fail "a line on standard error is no JSON object"
    check logs acknowledged "fsync $fsync, no disk for a while"
done
echo "crash: all passed"
