#!/usr/bin/env bash
# `check` and `assign` as their users meet them.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

config() { # config [lines of the experiment]
    cat <<INI
[model m]
file = m.model
[metric satisfied]
kind = proportion
event = satisfied
direction = up
[experiment e]
status = running
primary = satisfied
${1:-}
[arm e a]
weight = 0.5
item_bias = 1
[arm e b]
weight = 0.5
item_bias = 0
INI
}

# Exit statuses, and both forms of the answer.
config >good.ini
touch m.model
"$abtest" check good.ini >out || fail "good.ini: $(cat out)"
grep -qx 'good.ini: no mistakes' out || fail "good.ini: $(cat out)"
config $'alpha = 7\nstats = yes' >bad.ini
status=0
"$abtest" check bad.ini >out || status=$?
[ "$status" = 1 ] || fail "bad.ini exits with $status"
[ "$(cut -d: -f 1,2 out | tr '\n' ' ')" = 'bad.ini:10 bad.ini:11 ' ] || fail "bad.ini: $(cat out)"
"$abtest" check --json bad.ini >out && fail "--json of bad.ini exits with 0"
jq -e '.errors == 2 and .warnings == 0 and .problems[0].line == 10' out >/dev/null || fail "--json: $(cat out)"
rm m.model
"$abtest" check good.ini >out && fail "a missing model file"
grep -q '^good.ini:1: model file m.model cannot be read: No such file' out || fail "missing: $(cat out)"
"$abtest" check --text-only good.ini >/dev/null || fail "--text-only"
status=0
"$abtest" check no.ini 2>/dev/null || status=$?
[ "$status" = 1 ] || fail "no.ini exits with $status"
status=0
"$abtest" check 2>/dev/null || status=$?
[ "$status" = 2 ] || fail "no argument exits with $status"

# Traffic. R: power.prop.test(p1 = 0.45, p2 = 0.47, power = 0.8) gives n = 9747.13 in each arm.
plan=$'baseline = 0.45\nminimum_effect = 0.02\ndaily_units = '
config "${plan}500" >fast.ini
config "${plan}300" >slow.ini
config "${plan}500"$'\nstart = 2026-03-01\nend = 2026-03-15' >short.ini
"$abtest" check --text-only fast.ini | grep -q 'no mistakes' || fail "fast.ini is warned of"
"$abtest" check --text-only slow.ini >out || fail "a warning is no mistake"
grep -q 'needs 19496 units, which are 65 days at 300 a day' out || fail "slow.ini: $(cat out)"
"$abtest" check --text-only short.ini >out || fail "a warning is no mistake"
grep -q 'are 39 days at 500 a day, and has 14' out || fail "short.ini: $(cat out)"

# One user, a stream, odd lines.
[ "$("$abtest" assign good.ini --user 44 | cut -f 1-2)" = $'44\te' ] || fail "assign --user"
printf '44\r\n\nJ\xc3\xbcrgen\n44' | "$abtest" assign good.ini >out
[ "$(wc -l <out)" = 4 ] || fail "four lines: $(cat out)"
[ "$(sed -n 1p out)" = "$(sed -n 4p out)" ] || fail "CRLF and no newline at the end: $(cat out)"
[ "$(sed -n 2p out)" = $'\te\t-\t0.0000' ] || fail "nobody: $(cat out)"
"$abtest" assign good.ini --user '' --reason | grep -q 'no unit$' || fail "--reason"
{ "$abtest" assign good.ini --attribute age=3 --user 1 2>&1 || true; } | grep -q 'does not declare it' || fail "--attribute"
{ "$abtest" assign good.ini --at noon --user 1 2>&1 || true; } | grep -q 'is not a time' || fail "--at"
seq 200000 | "$abtest" assign good.ini >one
seq 200000 | "$abtest" assign good.ini >two
cmp -s one two || fail "two runs differ"
share=$(awk '$3 == "b"' one | wc -l)
[ "$share" -ge 98882 ] && [ "$share" -le 101118 ] || fail "$share of 200000 in b" # 5 standard deviations
