#!/usr/bin/env bash
# Out of file descriptors: accepting pauses without spinning, and goes on when some are free.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"
command -v prlimit >/dev/null || skip "no prlimit here (util-linux)"
small_ratings >ratings.csv
train als
cat >exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
threads = 1
[log]
directory = logs
[model als]
file = als.model
INI

start limits
"$abtest" version >/dev/null
used=$(find "/proc/$server/fd" -mindepth 1 | wc -l)
prlimit --pid "$server" --nofile="$((used + 10)):$((used + 10))"
holder=
at_end() { [ -z "$holder" ] || kill "$holder" 2>/dev/null || true; }
hold() { # hold BYTES [N]: 30 connections that send them, in a process of their own
    rm -f held
    (
        for _ in $(seq 1 "${2:-30}"); do
            exec {fd}<>"/dev/tcp/127.0.0.1/$port"
            # shellcheck disable=SC2059
            printf "$1" >&"$fd"
        done
        : >held
        exec sleep 600
    ) &
    holder=$!
    while [ ! -e held ]; do sleep 0.02; done
}
release() {
    kill "$holder"
    wait "$holder" 2>/dev/null || true
    holder=
}
told() { grep -c 'out of file descriptors' err.limits || true; }

# Half a request each: these are not idle, so the next one has to wait in the kernel's queue.
# Whoever asked for it again and again would use all of a core.
hold 'GET /heal'
get --max-time 60 "$url/readyz" >waited &
waiting=$!
for _ in $(seq 1 600); do
    [ "$(told)" -eq 0 ] || break
    sleep 0.05
done
[ "$(told)" -gt 0 ] || fail "nothing is told"
ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
before=$(ticks)
sleep 2
after=$(ticks)
[ $((100 * (after - before) / $(getconf CLK_TCK))) -lt 50 ] || fail "$((after - before)) ticks of CPU in two seconds of waiting"

# Room again, without a signal or a restart: the one that waited is answered.
release
wait "$waiting" || fail "who waited got no answer"
grep -q ready waited || fail "who waited got \"$(cat waited)\""

# Idle ones give way.
hold 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
get --max-time 60 "$url/readyz" | grep -q ready || fail "idle connections keep others out"
release
stop

# However many connect, the log can open its segments: of each thread there is one.
sed -i 's/threads = 1/threads = 24/' exp.ini
launch=(prlimit --nofile=400:400)
start many
exec 5<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /v1/recommend?user=2 ' >&5
hold 'GET /heal' 400
printf 'HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&5
head -n 1 <&5 | grep -q ' 200 ' || fail "connections keep the log from opening a segment"
exec 5>&-
release
stop
echo "limits: $((after - before)) ticks of CPU while out of descriptors, then back by itself"
