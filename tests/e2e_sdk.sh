#!/usr/bin/env bash
# Real SDKs, installed from npm at pinned versions, against the server: 10,000 users, no
# arm may differ; and the snippets of docs/clients. Skipped (77) where there is no npm,
# or where it cannot reach a registry and installed nothing before.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

n_users=${SDK_USERS:-10000}

command -v npm >/dev/null && command -v node >/dev/null || skip "no npm (apt-get install npm)"

# The packages are kept beside the build, and installed again when their list changes.
sdk=$(cd "$(dirname "$abtest")/.." && pwd)/sdk
mkdir -p "$sdk"
if ! cmp -s "$here/sdk/package-lock.json" "$sdk/installed-lock.json"; then
    cp "$here/sdk/package.json" "$here/sdk/package-lock.json" "$sdk"
    if ! (cd "$sdk" && npm ci --no-audit --no-fund --ignore-scripts >npm 2>&1); then
        tail -5 npm
        skip "npm cannot install the SDKs"
    fi
    cp "$sdk/package-lock.json" "$sdk/installed-lock.json"
fi
cp "$here/sdk/check.mjs" "$sdk"

{ echo userId,movieId,rating; for u in $(seq 1 30); do for i in $(seq 1 40); do
    [ $(((u * 7 + i * 3) % 4)) -ne 0 ] || echo "$u,$i,$(((u + i) % 5 + 1))"; done; done; } >ratings.csv
"$abtest" train als --ratings ratings.csv --model als.model --factors 2 --epochs 2 --quiet >/dev/null
"$abtest" train bpr --ratings ratings.csv --model bpr.model --factors 2 --epochs 2 --quiet >/dev/null

# Everything that decides an arm, all at once.
cat >exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
allow_origin = https://shop.example
[log]
directory = logs
fsync = no
[attributes]
country = string
age = number
premium = boolean
[holdout]
share = 0.05
[model als]
file = als.model
[model bpr]
file = bpr.model

[experiment item-bias]
status = running
[arm item-bias control]
weight = 0.5
item_bias = 1
[arm item-bias treatment]
weight = 0.5
item_bias = 0
[force item-bias]
qa = treatment

[experiment length]
status = running
seed = length, second try
layer = page 0.1 0.7
coverage = 0.9
[arm length short]
weight = 0.2
k = 5
[arm length middle]
weight = 0.3
[arm length long]
weight = 0.5
k = 20

[experiment other-length]
status = running
layer = page 0.7 1
[arm other-length a]
weight = 0.333333
k = 8
[arm other-length b]
weight = 0.333333
k = 9
[arm other-length c]
weight = 0.333334
k = 11

[experiment which-model]
status = running
namespace = models 0 0.8
audience = country in (NL, ZA) and (age >= 18 or not premium) and country != DE
[arm which-model als]
weight = 0.9
model = als
[arm which-model bpr]
weight = 0.1
model = bpr

[experiment exploring]
status = running
start = 2020-01-01
end = 2020-02-01
[arm exploring no]
weight = 0.5
explore = 0
[arm exploring yes]
weight = 0.5
explore = 0.1
INI
start sdk

(cd "$sdk" && node check.mjs "$url" "$n_users") || fail "the SDKs"

# The protocol's own words: bodies of errors, ETag, percent-decoded keys, browsers.
flags=$url/ofrep/v1/evaluate/flags
ask() { : >body; curl -s --max-time 10 -o body -D headers -w '%{http_code}' "$@"; }
expect() { # expect STATUS JQ-CONDITION curl-arguments...
    local wanted=$1 condition=$2 status
    shift 2
    status=$(ask "$@")
    [ "$status" = "$wanted" ] || fail "$*: $status, not $wanted: $(cat body)"
    [ -z "$condition" ] || jq -e "$condition" body >/dev/null || fail "$*: not $condition: $(cat body)"
}
key='{"context":{"targetingKey":"44"}}'
expect 404 '. == {key: "no/such", errorCode: "FLAG_NOT_FOUND", errorDetails: .errorDetails}' -d "$key" "$flags/no%2Fsuch"
expect 400 '.key == "length" and .errorCode == "PARSE_ERROR"' -d '{"context":' "$flags/length"
expect 400 '.key == "length" and .errorCode == "INVALID_CONTEXT"' -d '{}' "$flags/length"
expect 400 '.key == "length" and .errorCode == "TARGETING_KEY_MISSING"' -d '{"context":{}}' "$flags/length"
expect 400 '.key == "length" and .errorCode == "INVALID_CONTEXT"' -d '{"context":{"targetingKey":7}}' "$flags/length"
expect 400 '.errorCode == "INVALID_CONTEXT" and (.errorDetails | test("age must be a number"))' \
    -d '{"context":{"targetingKey":"7","age":"old"}}' "$flags/length"
expect 400 '(has("key") | not) and .errorCode == "TARGETING_KEY_MISSING"' -d '{"context":{"targetingKey":""}}' "$flags"
expect 200 '.reason == "DISABLED" and .value == {explore: 0} and (has("variant") | not)' -d "$key" "$flags/%65xploring"
expect 200 '.reason == "TARGETING_MATCH" and .variant == "treatment"' -d '{"context":{"targetingKey":"qa"}}' "$flags/item-bias"
expect 200 '.reason == "STATIC" and .metadata.because == "not in the audience" and .value == {model: "als"}' -d "$key" "$flags/which-model"
expect 200 '.reason == "SPLIT" and .value == {item_bias: 0} and .metadata.experiment == "item-bias"
    and (.metadata.bucket | type) == "number" and (.metadata.config | length) == 16' -d "$key" "$flags/item-bias"
expect 200 '(.flags | length) == 5 and .flags[0].key == "item-bias"' -d "$key" "$flags"
etag=$(sed -n 's/^ETag: \(.*\)\r$/\1/p' headers)
[ -n "$etag" ] || fail "no ETag"
expect 304 '' -d "$key" -H "If-None-Match: $etag" "$flags"
[ ! -s body ] || fail "304 with a body"
expect 304 '' -d "$key" -H "If-None-Match: \"other\", W/$etag" "$flags"
expect 200 '' -d '{"context":{"targetingKey":"45"}}' -H "If-None-Match: $etag" "$flags"
expect 200 '.features["item-bias"].rules[1] | .seed == "item-bias" and .hashVersion == 2 and .coverage == 1
    and .weights == [0.5, 0.5] and .ranges == [[0, 0.5], [0.5, 1]] and .filters[0].seed == "holdout"' "$url/api/features/any"
expect 304 '' -H "If-None-Match: $(sed -n 's/^ETag: \(.*\)\r$/\1/p' headers)" "$url/api/features/any"
expect 204 '' -X OPTIONS -H 'Origin: https://shop.example' -H 'Access-Control-Request-Method: POST' "$flags/item-bias"
grep -q '^Access-Control-Allow-Methods: POST' headers || fail "preflight: $(cat headers)"
grep -q '^Access-Control-Allow-Origin: https://shop.example' headers || fail "preflight: $(cat headers)"

# Evaluating is not exposing: nothing of item-bias is in the log but what /v1/recommend
# and Gorse's route showed; what a client reports is.
post() { curl -s --max-time 10 -d "$2" "$url$1"; }
reported() { metric 'abtest_exposures_total{experiment="item-bias",arm="control"}'; }
before=$(reported)
[ "$(post /v1/exposures '{"id":"x1","user":"sdk-user","experiment":"item-bias","arm":"control"}')" = \
    '{"accepted":1,"duplicates":0}' ] || fail "exposures"
[ "$(post /v1/exposures '[{"id":"x1","user":"sdk-user","experiment":"item-bias","arm":"control"},
    {"user":"qa","experiment":"item-bias","arm":"treatment","attributes":{"age":30}}]')" = \
    '{"accepted":1,"duplicates":1}' ] || fail "exposures"
[ "$(reported)" -eq $((${before:-0} + 1)) ] || fail "$(reported) exposures are counted, not $((${before:-0} + 1))"
post /v1/exposures '{"user":"u","experiment":"nope","arm":"a"}' | grep -q 'there is no experiment' || fail "exposures"
post /v1/exposures '{"user":"u","experiment":"length","arm":"a"}' | grep -q 'has no arm' || fail "exposures"
post /v1/exposures '{"user":"u","experiment":"length","arm":"short","attributes":{"age":"x"}}' |
    grep -q 'attributes.age must be a number' || fail "exposures"

# The snippets: the first ```js block of each page, run as it stands.
for page in "$here"/../docs/clients/*.md; do
    name=$(basename "$page" .md)
    sed -n '/^```js$/,/^```$/p' "$page" | sed '/^```/d' >"$sdk/snippet-$name.mjs"
    [ -s "$sdk/snippet-$name.mjs" ] || fail "$page has no snippet"
    (cd "$sdk" && ABTEST_URL=$url timeout 60 node "snippet-$name.mjs") >"snippet-$name" 2>&1 ||
        fail "the snippet of $page: $(cat "snippet-$name")"
    arm=$("$abtest" assign exp.ini --user 44 --attribute country=NL --attribute age=30 | awk '$2 == "item-bias" { print $3 }')
    grep -q "$arm" "snippet-$name" || fail "the snippet of $page does not tell the arm $arm: $(cat "snippet-$name")"
    echo "docs/clients/$name.md: $(tail -1 "snippet-$name")"
done

stop
"$abtest" logs verify logs >/dev/null || fail "the log is damaged"
"$abtest" logs cat logs >events
jq -es 'map(select(.user == "sdk-user" and .type == "exposure")) | length == 1 and .[0].assignments == {"item-bias": ["control", 0.5]}
    and (.[0] | has("items") | not)' events >/dev/null || fail "the reported exposure"
jq -es 'map(select(.user == "qa" and .attributes))[0] | .assignments["item-bias"] == ["treatment", 1, "forced"]' events >/dev/null ||
    fail "a forced arm that a client reports"
