#!/usr/bin/env bash
# abtest logs cat, verify, compact and ship on a log of some thousand events, whole, torn,
# damaged and doubled, and what their exit status says.
set -euo pipefail
abtest=$1
work=$(mktemp -d)
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
fail() {
    echo "FAILED: $1" >&2
    head -5 "$work"/got "$work"/err >&2 || true
    exit 1
}
expect() { # expect STATUS command...: output in got, messages in err
    local status=0 wanted=$1
    shift
    "$@" >got 2>err || status=$?
    [ "$status" -eq "$wanted" ] || fail "exit status $status, not $wanted: $*"
}
says() { grep -qE -- "$1" "${2:-got}" || fail "it does not say: $1"; }
cd "$work"
cat >exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
[log]
directory = logs
[model als]
file = als.model
[serving]
model = als
[metric satisfied]
kind = proportion
event = satisfied
direction = up
[experiment e]
status = running
primary = satisfied
[arm e a]
weight = 0.5
[arm e b]
weight = 0.5
k = 20
INI
"$abtest" simulate exp.ini --to-log logs --users 2000 --rates a=0.4,b=0.5 --threads 2 --seed 3 >/dev/null 2>err ||
    fail "cannot write a log"

expect 0 "$abtest" logs verify logs
says ' 0 damaged, 0 torn tails: sound$'
expect 0 "$abtest" logs cat logs
n=$(wc -l <got)
[ "$n" -ge 2800 ] || fail "only $n events"
cp got events
expect 0 "$abtest" logs verify logs --json
says "\"events\":$n,.*\"damaged\":0,\"torn_tails\":0}\$"

# Compressed, it says the same, and is smaller.
cp -r logs copy
before=$(du -sb logs/*.jsonl | awk '{s += $1} END {print s}')
expect 0 "$abtest" logs compact logs
says '^[1-9][0-9]* segments compressed$'
ls logs/*.jsonl >/dev/null 2>&1 && fail "plain segments are left"
[ "$(du -sb logs/*.zst | awk '{s += $1} END {print s}')" -lt $((before / 3)) ] || fail "it is not smaller"
expect 0 "$abtest" logs cat logs
cmp -s got events || fail "the compressed log says something else"
if command -v zstdcat >/dev/null; then
    zstdcat logs/*.zst | cmp -s - events || fail "zstdcat says something else"
fi

# Shipped once; then nothing is new.
expect 0 "$abtest" logs ship logs
cmp -s got events || fail "what was shipped is not the log"
says " $n events, " err
expect 0 "$abtest" logs ship logs
[ ! -s got ] || fail "it was shipped twice"
expect 1 "$abtest" logs ship copy --to tcp://127.0.0.1
says 'is not tcp://HOST:PORT' err

# A crash between the compressed file's name and the plain one's removal.
cp copy/*.jsonl logs/
expect 0 "$abtest" logs cat logs
cmp -s got events || fail "segments that are there twice count twice"

# A torn tail is no damage, and cut by the next who writes.
segment=$(find copy -name '*.jsonl' | sort | head -1)
truncate -s -9 "$segment"
expect 0 "$abtest" logs verify copy
says ', torn last line of [0-9]+ bytes at byte [0-9]+$'
says ' 0 damaged, 1 torn tails: sound$'
expect 0 "$abtest" logs compact copy
says 'a torn last line of [0-9]+ bytes was cut$' err
expect 0 "$abtest" logs verify copy
says ', '"$((n - 1))"' events, .* 0 damaged, 0 torn tails: sound$'

# Damage is named with file and offset; the rest is read.
segment=$(find logs -name '*.jsonl' | sort | head -1)
at=$(head -n 4 "$segment" | wc -c)
printf '\001' | dd of="$segment" bs=1 seek=$((at + 30)) conv=notrunc 2>/dev/null
expect 3 "$abtest" logs verify logs
says "^damage: $segment: byte $at, [0-9]+ bytes: checksum does not match\$"
says ' 1 damaged, 0 torn tails: do not trust$'
expect 3 "$abtest" logs verify logs --json
says "\"damages\":\\[\\{\"file\":\"$segment\",\"offset\":$at,\"size\":[0-9]+,\"reason\":\"checksum does not match\"\\}\\]"
expect 3 "$abtest" logs cat logs
[ "$(wc -l <got)" -eq $((n - 1)) ] || fail "the rest was not read"
says "$segment: damaged at byte $at " err

expect 1 "$abtest" logs cat nowhere
expect 2 "$abtest" logs cat
expect 2 "$abtest" logs burn logs
expect 0 "$abtest" logs --help
"$abtest" logs cat logs 2>/dev/null | head -n 1 >/dev/null || true # a closed pipe ends it
echo "logs: $n events, whole, compressed, shipped, torn, damaged"
