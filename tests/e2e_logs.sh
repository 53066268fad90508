#!/usr/bin/env bash
# abtest logs cat, verify, compact and ship on a log of some thousand events, whole, torn,
# damaged and doubled, and what their exit status says.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

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

exits 0 "$abtest" logs verify logs
says ' 0 damaged, 0 torn tails: sound$'
exits 0 "$abtest" logs cat logs
n=$(wc -l <out)
[ "$n" -ge 2800 ] || fail "only $n events"
cp out events
exits 0 "$abtest" logs verify logs --json
says "\"events\":$n,.*\"damaged\":0,\"torn_tails\":0}\$"

# Compressed, it says the same, and is smaller.
cp -r logs copy
before=$(du -sb logs/*.jsonl | awk '{s += $1} END {print s}')
exits 0 "$abtest" logs compact logs
says '^[1-9][0-9]* segments compressed$'
ls logs/*.jsonl >/dev/null 2>&1 && fail "plain segments are left"
[ "$(du -sb logs/*.zst | awk '{s += $1} END {print s}')" -lt $((before / 3)) ] || fail "it is not smaller"
exits 0 "$abtest" logs cat logs
cmp -s out events || fail "the compressed log says something else"
if command -v zstdcat >/dev/null; then
    zstdcat logs/*.zst | cmp -s - events || fail "zstdcat says something else"
fi

# Shipped once; then nothing is new.
exits 0 "$abtest" logs ship logs
cmp -s out events || fail "what was shipped is not the log"
says " $n events, " err
exits 0 "$abtest" logs ship logs
[ ! -s out ] || fail "it was shipped twice"
exits 1 "$abtest" logs ship copy --to tcp://127.0.0.1
says 'is not tcp://HOST:PORT' err

# A crash between the compressed file's name and the plain one's removal.
cp copy/*.jsonl logs/
exits 0 "$abtest" logs cat logs
cmp -s out events || fail "segments that are there twice count twice"

# A torn tail is no damage, and cut by the next who writes.
segment=$(find copy -name '*.jsonl' | sort | head -1)
truncate -s -9 "$segment"
exits 0 "$abtest" logs verify copy
says ', torn last line of [0-9]+ bytes at byte [0-9]+$'
says ' 0 damaged, 1 torn tails: sound$'
exits 0 "$abtest" logs compact copy
says 'a torn last line of [0-9]+ bytes was cut$' err
exits 0 "$abtest" logs verify copy
says ', '"$((n - 1))"' events, .* 0 damaged, 0 torn tails: sound$'

# Damage is named with file and offset; the rest is read.
segment=$(find logs -name '*.jsonl' | sort | head -1)
at=$(head -n 4 "$segment" | wc -c)
printf '\001' | dd of="$segment" bs=1 seek=$((at + 30)) conv=notrunc 2>/dev/null
exits 3 "$abtest" logs verify logs
says "^damage: $segment: byte $at, [0-9]+ bytes: checksum does not match\$"
says ' 1 damaged, 0 torn tails: do not trust$'
exits 3 "$abtest" logs verify logs --json
says "\"damages\":\\[\\{\"file\":\"$segment\",\"offset\":$at,\"size\":[0-9]+,\"reason\":\"checksum does not match\"\\}\\]"
exits 3 "$abtest" logs cat logs
[ "$(wc -l <out)" -eq $((n - 1)) ] || fail "the rest was not read"
says "$segment: damaged at byte $at " err

exits 1 "$abtest" logs cat nowhere
exits 2 "$abtest" logs cat
exits 2 "$abtest" logs burn logs
exits 0 "$abtest" logs --help
"$abtest" logs cat logs 2>/dev/null | head -n 1 >/dev/null || true # a closed pipe ends it
echo "logs: $n events, whole, compressed, shipped, torn, damaged"
