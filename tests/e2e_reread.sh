#!/usr/bin/env bash
# abtest analyze: the same bytes of report from the extract of one reading as from two
# readings of the log, whatever the order of its lines, compressed or not, at any number
# of threads.
. "$(dirname "$0")/lib.sh" "$1"

export TMPDIR=$work/tmp
mkdir tmp

cat >trial.ini <<'INI'
[model als]
file = als.model
[metric satisfied]
kind = proportion
event = satisfied
window = 2d
direction = up
[metric latency]
kind = quantile 0.9
event = exposure.latency_us
direction = down
[metric rate]
kind = ratio
event = satisfied
denominator = exposure
[experiment bias]
status = running
primary = satisfied
[arm bias control]
weight = 0.5
[arm bias treatment]
weight = 0.5
INI
"$abtest" simulate trial.ini --to-log made --rates control=0.4,treatment=0.6 --users 4000 --visits 25 --seed 5 \
    >/dev/null 2>&1 || fail "simulate"
grep -h '"type":"config"' made/*.jsonl | head -n 1 >config
# Feedback before exposures, exposures before earlier ones: by checksum, which is as good as any order.
grep -hv '"type":"config"' made/*.jsonl | rev | sort | rev >lines
# Who was never exposed is told by name: exposures of some users go.
grep -v '"exposure".*"user":"1[0-9]*7"' lines >most
[ "$(wc -l <most)" -lt "$(wc -l <lines)" ] || fail "no exposure was taken away"

# same NAME: with an extract in a file, and read twice because there can be none
same() {
    local status=0 again=0
    "$abtest" analyze log --json --threads 1 >once.json 2>/dev/null || status=$?
    [ -s once.json ] || fail "$1: no report"
    for threads in 1 2 3; do
        again=0
        "$abtest" analyze log --json --threads $threads >other.json 2>/dev/null || again=$?
        [ $again = $status ] && cmp -s once.json other.json || fail "$1: $threads threads tell something else"
        again=0
        TMPDIR=$work/none "$abtest" analyze log --json --threads $threads >twice.json 2>/dev/null || again=$?
        [ $again = $status ] && cmp -s once.json twice.json || fail "$1: read twice by $threads threads, it tells something else"
    done
}
segment() { echo "log/0a1b2c3d-20260101T000000-00000$1.jsonl"; }
half=$(($(wc -l <most) / 2))
mkdir log
{ cat config; head -n "$half" most; } >"$(segment 1)"
{ cat config; tail -n "+$((half + 1))" most; } >"$(segment 2)"
same "in no order"
[ -z "$(ls -A tmp)" ] || fail "a temporary file was left"
"$abtest" logs compact log >/dev/null 2>&1 || fail "compact"
same "compressed"
zstd -q -d --rm log/*.zst
cp once.json before.json
sed -n 5p most >>"$(segment 2)"
same "an id twice"
cmp -s <(sed '/"evidence"/,$d' before.json) <(sed '/"evidence"/,$d' once.json) || fail "a copy counts"
