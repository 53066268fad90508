#!/usr/bin/env bash
# abtest analyze --state: a log that grows, analysed step by step, against a full reading
# of it each time: the same bytes. And what a state that does not fit is answered.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

cat >trial.ini <<'INI'
[model als]
file = als.model
[metric satisfied]
kind = proportion
event = satisfied
window = 2d
direction = up
[metric latency]
kind = quantile 0.5
event = exposure.latency_us
direction = down
[metric shown]
kind = count
event = exposure
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
"$abtest" simulate trial.ini --to-log all --rates control=0.4,treatment=0.6 --users 300 --visits 8 --seed 5 \
    >/dev/null 2>&1 || fail "simulate"
# As a server would have written it: in order of time, in one segment after the other.
cat all/*.jsonl | sort -t: -k3,3 -s >lines
head -n 1 lines | grep -q '"config"' || { grep '"config"' lines >sorted; grep -v '"config"' lines >>sorted; mv sorted lines; }
total=$(wc -l <lines)
mkdir log

# same STATUS...: with the state and without it, the same report; notes go to note.txt.
same() {
    local with=0 without=0
    "$abtest" analyze log --json --state state.bin "$@" >with.json 2>note.txt || with=$?
    "$abtest" analyze log --json "$@" >without.json 2>/dev/null || without=$?
    [ "$with" = "$without" ] || { cat note.txt; fail "exit $with with the state, $without without"; }
    cmp -s with.json without.json || { diff with.json without.json | head; fail "other bytes with the state"; }
}
goes_on() { same; [ ! -s note.txt ] || { cat note.txt; fail "$1: the state was not gone on from"; }; }
starts_over() { same; grep -q "state.bin: .*$1.*; the log was read whole" note.txt || { cat note.txt; fail "no word of \"$1\""; }; }

n=0
for step in 1 2 3 4 5 6; do
    to=$((total * step / 6))
    sed -n "$((n + 1)),${to}p" lines >>"log/0a1b2c3d-20260101T000000-00000$(((step + 1) / 2)).jsonl"
    n=$to
    goes_on "step $step"
    goes_on "step $step again"
done
first=log/0a1b2c3d-20260101T000000-000001.jsonl

# A torn tail is counted while it is there.
printf '{"type":"feedback","ts":17' >>log/0a1b2c3d-20260101T000000-000003.jsonl
goes_on "torn tail"
truncate -s -26 log/0a1b2c3d-20260101T000000-000003.jsonl
goes_on "torn tail cut"

# Closed segments are compressed.
"$abtest" logs compact log >/dev/null 2>&1 || fail "compact"
goes_on "compressed"
goes_on "compressed again"
zstd -q -d --rm log/*.zst
starts_over "not any more what was read"

# Damage that the state has seen; then a state that is damaged itself.
cp state.bin good.bin
printf 'X' | dd of=state.bin bs=1 seek=2000 conv=notrunc status=none
starts_over "damaged"
head -c 1000 good.bin >state.bin
starts_over "damaged"
cp good.bin state.bin
goes_on "the good one"

# Other metrics, events read before, segments that are gone.
sed 's/window = 2d/window = 3d/' trial.ini >other.ini
"$abtest" simulate other.ini --to-log other --rates control=0.4,treatment=0.6 --users 3 --seed 6 --start 1799999999 \
    >/dev/null 2>&1 || fail "simulate other"
cat other/*.jsonl >log/0a1b2c3d-20260101T000000-000004.jsonl
starts_over "other experiments or metrics"
goes_on "the other metrics"
tail -n 3 "$first" >log/0a1b2c3d-20260101T000000-000005.jsonl
starts_over "had been counted"
rm log/0a1b2c3d-20260101T000000-000005.jsonl
starts_over "lost 1 of the segments"
truncate -s -900 "$first"
starts_over "not any more what was read"

# A file that is something else is left alone.
cp lines precious
"$abtest" analyze log --state precious >out.txt 2>err.txt && fail "another file was taken for a state"
grep -q 'precious: not a state of analyze' err.txt || { cat err.txt; fail "no word of what the file is not"; }
cmp -s lines precious || fail "another file was overwritten"

# With lists, which are kept, too.
"$abtest" simulate trial.ini --to-log listed --rates control=0.4,treatment=0.6 --users 200 --visits 4 -k 5 --seed 8 \
    >/dev/null 2>&1 || fail "simulate lists"
rm -r log state.bin && mkdir log
cat listed/*.jsonl | sort -t: -k3,3 -s >lines
total=$(wc -l <lines)
n=0
for step in 1 2 3; do
    to=$((total * step / 3))
    sed -n "$((n + 1)),${to}p" lines >>"log/0a1b2c3d-20260101T000000-00000$(((step + 1) / 2)).jsonl"
    n=$to
    same --lists
    [ ! -s note.txt ] || { cat note.txt; fail "lists, step $step: the state was not gone on from"; }
done
grep -q '"repeat rate"' with.json || fail "no lists in the report"
same
grep -q 'other experiments or metrics' note.txt || fail "a state with lists was taken for one without"
"$abtest" analyze --help | grep -q -- '--state FILE' || fail "--help does not know --state"
