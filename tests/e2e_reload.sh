#!/usr/bin/env bash
# A new config under load: taken up without a failed request, or refused with the reason.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

{ echo userId,movieId,rating; for u in $(seq 1 30); do for i in $(seq 1 30); do
    [ $(((u * 7 + i * 3) % 4)) -eq 0 ] && echo "$u,$i,$(((u + i) % 5 + 1))"; done; done; } >ratings.csv || true
"$abtest" train als --ratings ratings.csv --model als.model --factors 2 --epochs 2 --quiet >/dev/null

config() { # config STATUS COVERAGE WEIGHT SEED [line of [experiment]] [more sections]
    cat <<INI
[server]
listen = 127.0.0.1:0
threads = 2
admin_token = env:ABTEST_RELOAD_TOKEN
[log]
directory = logs
fsync = no
[attributes]
country = string
age = number
[model als]
file = als.model
[experiment e]
status = $1
coverage = $2
seed = $4
${5:-}
[arm e a]
weight = $3
item_bias = 1
[arm e b]
weight = $(awk "BEGIN { print 1 - $3 }")
item_bias = 0
${6:-}
INI
}

export ABTEST_RELOAD_TOKEN=t0ken
config running 0.5 0.5 one >exp.ini
load=
at_end() { [ -z "$load" ] || kill "$load" 2>/dev/null || true; }
start reload

# reload WANTED-STATUS WORDS
reload() {
    local status
    status=$(curl -s --max-time 30 -o body -w '%{http_code}' -X POST -H "Authorization: Bearer t0ken" "$url/v1/reload")
    [ "$status" = "$1" ] || fail "reload: $status, not $1: $(cat body)"
    grep -q -- "$2" body || fail "reload does not say \"$2\": $(cat body)"
}
hash_of() { curl -s "$url/v1/experiments" | jq -r .config; }
first=$(hash_of)

# Requests without end, on connections that stay open, until `stop` is there.
cat >load.sh <<'SH'
while [ ! -e stop ]; do
    curl -s -o /dev/null -w '%{http_code}\n' "$1/v1/recommend?user=[1-100]" >>statuses || echo failed >>statuses
done
SH
bash load.sh "$url" & load=$!

# Only the bearer of the token.
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "$url/v1/reload")" = 401 ] || fail "no token"
[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST -H 'Authorization: Bearer t0kem' "$url/v1/reload")" = 401 ] || fail "wrong token"

# Refused, with the reason and the number, and the old one stays.
config running 0.5 0.4 one >exp.ini
reload 409 'would move 1000 of 10000 buckets'
config running 0.25 0.5 one >exp.ini
reload 409 'would move 2500 of 10000 buckets'
config running 0.5 0.5 one 'audience = country = NL' >exp.ini
reload 409 'changes its audience'
config walking 0.5 0.5 one >exp.ini
reload 409 'status = walking is not known'
jq -e '.status == 409 and .problems[0].line == 14 and .problems[0].severity == "error"' body >/dev/null || fail "$(cat body)"
config running 0.5 0.5 one | sed 's/threads = 2/threads = 3/' >exp.ini
reload 409 'threads cannot change while the server runs'
config running 0.5 0.5 one | sed 's/als.model/no.model/' >exp.ini
reload 409 'no.model cannot be read'
printf 'not a model' >bad.model
config running 0.5 0.5 one | sed 's/als.model/bad.model/' >exp.ini
reload 409 'bad.model'
[ "$(hash_of)" = "$first" ] || fail "a refused config is served"

# Taken up: more coverage moves nobody who has an arm.
for u in $(seq 1 25); do
    echo "$u $(curl -s "$url/v1/assignments?user=$u" | jq -r '.assignments.e // "-"')"
done >arms.before
config running 1 0.5 one >exp.ini
reload 200 "\"previous\":\"$first\""
second=$(hash_of)
[ "$second" != "$first" ] || fail "the new config is not served"
[ "$(jq -r .config body)" = "$second" ] || fail "reload tells another hash"
while read -r u arm; do
    now=$(curl -s "$url/v1/assignments?user=$u" | jq -r '.assignments.e // "-"')
    [ "$now" != - ] || fail "coverage 1 leaves $u out"
    [ "$arm" = - ] || [ "$arm" = "$now" ] || fail "$u moved from $arm to $now"
done <arms.before
grep -q -- ' -$' arms.before || fail "coverage 0.5 left nobody out"

# By signal, with everything an experiment may have; a new seed may change the weights.
config running 1 0.3 two 'audience = country in (NL, ZA) and age >= 18' \
    $'[holdout]\nshare = 0.1\n[force e]\nqa = b' >exp.ini
kill -HUP "$server"
for _ in $(seq 1 100); do [ "$(hash_of)" != "$second" ] && break; sleep 0.05; done
[ "$(hash_of)" != "$second" ] || fail "SIGHUP changes nothing"
grep -q '"level":"info","event":"reload","message":"serving config' err.reload || fail "SIGHUP is not told"
arm() { curl -s "$url/v1/assignments?user=$1" | jq -r '.assignments.e // "-"'; }
for u in $(seq 1 10); do
    there="$u&attr.country=NL&attr.age=30"
    expected=$("$abtest" assign exp.ini --user "$u" --attribute country=NL --attribute age=30 | cut -f 3)
    [ "$(arm "$there")" = "$expected" ] || fail "user $u: $(arm "$there"), not $expected"
    [ "$(arm "$u&attr.country=NL&attr.age=17")" = - ] || fail "user $u is of age"
    [ "$(arm "$u")" = - ] || fail "user $u is in the audience"
done
[ "$(arm qa)" = b ] || fail "qa is not forced"
[ "$(curl -s -o body -w '%{http_code}' "$url/v1/assignments?user=1&attr.age=old")" = 400 ] || fail "an age that is no number"
grep -q 'attr.age must be a number' body || fail "$(cat body)"
[ "$(curl -s -o body -w '%{http_code}' "$url/v1/assignments?user=1&attr.country=%ff")" = 400 ] || fail "a country that is no text"
grep -q 'attr.country is not valid UTF-8' body || fail "$(cat body)"
curl -s "$url/v1/recommend?user=qa" >/dev/null
curl -s "$url/v1/recommend?user=u1&attr.country=NL&attr.age=30" >/dev/null

touch stop
wait "$load" || true
load=
stop
[ "$(sort -u statuses)" = 200 ] || fail "requests failed during reloads: $(sort statuses | uniq -c)"
n_ok=$(wc -l <statuses)
[ "$n_ok" -ge 200 ] || fail "only $n_ok requests were made"

# Checked against what was served last: by itself a warning, when asked a mistake.
cp exp.ini served.ini
config running 1 0.4 two 'audience = country in (NL, ZA) and age >= 18' $'[holdout]\nshare = 0.1' >exp.ini
"$abtest" check exp.ini >checked || fail "a warning is no mistake: $(cat checked)"
grep -q 'warning: experiment "e" keeps its seed but would move' checked || fail "not warned: $(cat checked)"
for old in served.ini logs; do
    "$abtest" check exp.ini --against "$old" >checked && fail "--against $old finds nothing"
    grep -q '^exp.ini:13: experiment "e" keeps its seed but would move' checked || fail "--against $old: $(cat checked)"
done
"$abtest" check served.ini --against logs >checked || fail "the same config moves somebody: $(cat checked)"

# The log: every config that was served, before the first event that refers to it; the
# attributes that the audience saw; the forced arm as such.
"$abtest" logs verify logs >/dev/null || fail "the log is damaged"
"$abtest" logs cat logs >events
for file in logs/*.jsonl logs/*.jsonl.zst; do
    [ -e "$file" ] || continue
    "$abtest" logs cat "$file" | jq -es '
        reduce .[] as $e ({seen: [], ok: true};
            if $e.type == "config" then .seen += [$e.config]
            elif $e.type == "exposure" then .ok = (.ok and ([.seen[] == $e.config] | any)) else . end) | .ok' >/dev/null ||
        fail "$file refers to a config that is not in it"
done
[ "$(jq -r 'select(.type == "config") | .config' events | sort -u | wc -l)" = 3 ] || fail "configs in the log"
jq -es 'map(select(.user == "qa"))[0].assignments.e == ["b", 1, "forced"]' events >/dev/null || fail "forced is not flagged"
jq -es 'map(select(.user == "u1"))[0].attributes == {"country": "NL", "age": 30}' events >/dev/null || fail "attributes"
# Signals that come while a reload is under way wait for their turn; none ends the server where it stands.
cp served.ini exp.ini
for round in 1 2 3; do
    start "signals$round"
    for _ in $(seq 1 20); do
        kill -HUP "$server" 2>/dev/null || fail "round $round: a second SIGHUP ended the server"
        sleep 0.003
    done
    stop # by SIGTERM, while it reloads
    grep -q 'serving config' "err.signals$round" || fail "round $round: nothing was reloaded"
done
echo "3 configs, $n_ok requests meanwhile, none failed"
