#!/usr/bin/env bash
# Segments by what requests say of their user, from the request to the report: words, numbers and
# booleans, the value of the first exposure, rare words together, what [log] attributes keeps out of
# the log; shuffled, compressed and with --state the same bytes.
. "$(dirname "$0")/lib.sh" "$1"
small_ratings >ratings.csv
train als
config_of() { # config_of LOGS ATTRIBUTES
    cat <<INI
[server]
listen = 127.0.0.1:0
[log]
directory = $1
fsync = no
attributes = $2
[attributes]
country = string
age = number 18, 30
visits = number
premium = boolean
email = string
[model als]
file = als.model
[metric satisfied]
kind = proportion
event = satisfied
direction = up
[experiment bias]
status = running
primary = satisfied
audience = country in (NL, BE, DE, LU) or country != XX
[arm bias control]
weight = 0.5
[arm bias treatment]
weight = 0.5
item_bias = 0
INI
}
# 400 users; all but every 20th say a country, of which 4 are common and 20 rare. Half come back and then
# say something else, which does not count.
users() {
    jq -nc --argjson again "$1" '[range(400) | . as $u | select($again == 0 or $u % 2 == 0)
        | {user: "u\($u)", experiment: "bias", arm: (if $u / 4 % 2 < 1 then "control" else "treatment" end),
           id: "x\($u)-\($again)",
           attributes: (if $again == 1 then {country: "XX", age: 99, premium: ($u % 3 != 0)}
               elif $u % 20 == 7 then {}
               else {country: (if $u % 5 == 0 then "R\($u / 5 % 20)" else ["NL","BE","DE","LU"][$u % 4] end),
                     age: ($u % 50), visits: $u, premium: ($u % 3 == 0), email: "u\($u)@example.org"} end)}]'
}
serve_trial() { # serve_trial LOGS ATTRIBUTES
    config_of "$1" "$2" >exp.ini
    start "$1"
    for again in 0 1; do
        users "$again" >exposures.json
        expect 200 accepted -d @exposures.json "$url/v1/exposures"
        sleep 0.01 # the second ones are later
    done
    jq -nc '[range(400) | select(. % 7 < 3 or . % 4 > 2) | {user: "u\(.)", event: "satisfied", value: 1, id: "f\(.)"}]' >feedback.json
    expect 200 accepted -d @feedback.json "$url/v1/feedback"
    stop
}
groups() { # groups SEGMENT <report: "group control treatment" a line
    jq -r --arg name "$1 at the first exposure" '.experiments[0].segments[] | select(.name == $name) | .groups[]
        | "\(.group) \([.arms[].n] | join(" "))"'
}
serve_trial logs all
"$abtest" analyze logs --json >report.json || true

# What is expected is counted from the requests themselves.
users 0 | jq -r '
    def arms(f): "\(map(select(.arm == "control" and f)) | length) \(map(select(.arm == "treatment" and f)) | length)";
    "age below 18 \(arms(.attributes.age != null and .attributes.age < 18))",
    "age 18 to below 30 \(arms(.attributes.age != null and .attributes.age >= 18 and .attributes.age < 30))",
    "age 30 or above \(arms(.attributes.age != null and .attributes.age >= 30))",
    "premium false \(arms(.attributes.premium == false))", "premium true \(arms(.attributes.premium == true))"' >expected
for name in age premium; do groups "$name" <report.json | sed "s/^/$name /"; done >got
diff expected got || fail "groups of numbers and booleans"

# Words: the 15 with most units by name (ties in byte order), the others together.
users 0 | jq -r '[.[] | select(.attributes.country) | {c: .attributes.country, arm}] as $all
    | ($all | group_by(.c) | map({c: .[0].c, n: length}) | sort_by(-.n, .c) | .[:15] | map(.c)) as $top
    | ($all | map(.c as $c | .c = (if $top | index($c) then $c else "~other values" end))
        | group_by(.c)[] | "\(.[0].c) \(map(select(.arm == "control")) | length) \(map(select(.arm == "treatment")) | length)")' |
    sed 's/^~//' >expected
groups country <report.json >got
diff expected got || fail "groups of words"
grep -q '^other values ' got || fail "there are no other values"
[ -z "$(groups email <report.json)" ] || fail "identifiers are no groups"
[ "$(groups visits <report.json | wc -l)" -eq 4 ] || fail "no quartiles: $(groups visits <report.json)"
groups visits <report.json | awk '{ n = $(NF - 1) + $NF; if (n < 94 || n > 96) bad = 1 } END { exit bad }' ||
    fail "quartiles of different sizes: $(groups visits <report.json)"

# All forms tell them, and none depends on the order of lines or on where a state was left.
for format in text csv markdown html; do
    "$abtest" analyze logs --format $format >report.$format || true
    grep -q 'country at the first exposure' report.$format || fail "$format has no country"
    grep -q 'other values' report.$format || fail "$format has no other values"
done
# Whether effects differ between groups, as the JSON says it.
p=$(jq -r '.experiments[0].segments[] | select(.name == "premium at the first exposure") | .heterogeneity[0].p_value' report.json)
awk -F, -v p="$p" '$4 == "heterogeneity" && /premium/ && $21 == p { found = 1 } END { exit !found }' report.csv || fail "csv: heterogeneity $p"
d=$(jq -r '.experiments[0].segments[] | select(.name == "premium at the first exposure") | .differences[0].contrasts[0] | .effect_size // .finding.effect_size // .fixed.effect_size' report.json)
awk -F, -v d="$d" '$4 == "difference" && /premium/ && $14 == d { found = 1 } END { exit !found }' report.csv || fail "csv: difference $d"
grep -q 'premium at the first exposure: true less false' report.markdown || fail "markdown: differences"
grep -q 'premium at the first exposure: do the effects differ' report.markdown || fail "markdown: heterogeneity"

# Beside the groups' numbers stands how they were made, in every format.
read -r test interval < <(jq -r '.experiments[0].segments[0].groups[0].contrasts[0].fixed | "\(.test | gsub(" "; "_")) \(.interval | gsub(" "; "_"))"' report.json)
test=${test//_/ } interval=${interval//_/ }
n=$(jq '.experiments[0].segments | length' report.json)
[ "$(grep -A1 '^Segment ' report.text | grep -c "$test; interval: $interval")" -eq "$n" ] || fail "text: a segment without its method"
[ "$(grep -o "<caption>[^<]*$test; interval: $interval; p corrected by" report.html | wc -l)" -eq "$n" ] || fail "html: a segment without its method"
[ "$(grep -c "^| premium at the first exposure: \(true\|false\) |.*| $test | $interval |" report.markdown)" -ge 2 ] || fail "markdown: a group without its methods"
! grep -w nan report.* || fail "a number that is none"
! grep 'sample ratio over time.*p = [0-9.e-]*)$' report.text report.markdown || fail "a trust check without its method"

# Every report keeps to the schema that docs/ promises.
python3 "$here/check_schema.py" "$here/../docs/report.schema.json" report.json || fail "the report breaks its schema"
mkdir shuffled grown
cat logs/*.jsonl >lines
shuf --random-source=<(yes) lines >"shuffled/0a1b2c3d-20260101T000000-000001.jsonl"
strip() { jq -S 'del(.evidence)'; }
"$abtest" analyze shuffled --json | strip >shuffled.json || true
strip <report.json | diff - shuffled.json >/dev/null || fail "other numbers when shuffled"
total=$(wc -l <lines)
for step in 1 2 3 4; do
    sed -n "$((total * (step - 1) / 4 + 1)),$((total * step / 4))p" lines >>"grown/0a1b2c3d-20260101T000000-000001.jsonl"
    "$abtest" analyze grown --json --state state.bin >with.json 2>note || true
    "$abtest" analyze grown --json >without.json 2>/dev/null || true
    [ ! -s note ] || fail "step $step: the state was not gone on from: $(cat note)"
    cmp with.json without.json || fail "step $step: other bytes with the state"
done
strip <with.json | diff - shuffled.json >/dev/null || fail "other numbers when grown"

# What is not to be kept is not in the log, and no segment either.
serve_trial named 'country, premium'
serve_trial audience audience
serve_trial none none
logged() { "$abtest" logs cat "$1" | jq -r 'select(.attributes) | .attributes | keys[]' | sort -u | tr '\n' ' '; }
[ "$(logged logs)" = "age country email premium visits " ] || fail "logged by all: $(logged logs)"
[ "$(logged named)" = "country premium " ] || fail "logged by name: $(logged named)"
[ "$(logged audience)" = "country " ] || fail "logged for the audience: $(logged audience)"
[ -z "$(logged none)" ] || fail "logged by none: $(logged none)"
"$abtest" analyze named --json >named.json || true
[ "$(groups premium <named.json | wc -l)" -eq 2 ] || fail "no premium"
[ -z "$(groups age <named.json)" ] || fail "ages that were not logged"
config_of logs 'none' >exp.ini
"$abtest" check exp.ini 2>&1 | grep -q 'asks for country, which is not logged' || fail "no warning"
config_of logs 'country, nobody' >exp.ini
"$abtest" check exp.ini 2>&1 | grep -q 'nobody is not declared' || fail "a name that is not declared"
sed 's/number 18, 30/number 18, 10/' exp.ini >bad.ini
"$abtest" check bad.ini 2>&1 | grep -q 'cut point 10 is not above' || fail "cut points in no order"
