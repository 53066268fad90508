#!/usr/bin/env bash
# The routes behind the pages, without a browser: assets, the stream, try, and changing an
# experiment (pause, ramp, what is refused).
# usage: tests/e2e_pages.sh PATH/TO/abtest
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

example=$here/../examples/item-bias.ini

status() { curl -s -o answer -w '%{http_code}' "$@"; }

"$abtest" synth data --users 50 --items 80 --ratings 1500 --seed 3 >/dev/null
cp data/ratings.csv train.csv
cp data/movies.csv .
for kind in als bpr; do
    "$abtest" train $kind --ratings train.csv --model $kind.model --epochs 2 --quiet >/dev/null
done
sed -e 's/^\[server\]/[server]\nadmin_token = env:ABTEST_TOKEN/' \
    -e 's/^status = running/status = running ; kept\ncoverage = 0.5/' "$example" >item-bias.ini
launch=(env ABTEST_TOKEN=secret) config=item-bias.ini
start pages --port 0

# ---- pages and assets
for path in / /try /experiments/item-bias /assets/common.js /assets/chart.js /assets/dashboard.css; do
    equal "status of $path" "$(status "$url$path")" 200
    curl -s -D headers -o answer "$url$path"
    equal "policy of $path" "$(sed -n 's/^content-security-policy: \(.*\)\r$/\1/Ip' headers)" \
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    for header in 'x-content-type-options: nosniff' 'referrer-policy: no-referrer' \
        'cross-origin-resource-policy: same-origin'; do
        grep -qi "^$header" headers || fail "$path has no $header"
    done
done
etag=$(sed -n 's/^etag: \(.*\)\r$/\1/Ip' headers)
equal 'status with the ETag' "$(status -H "If-None-Match: $etag" "$url/assets/dashboard.css")" 304
equal 'status of no asset' "$(status "$url/assets/..%2Fitem-bias.ini")" 404
! grep -lE '(href|src)="https?:|<script>|style="|onclick' <(cat "$here"/../serve/assets/*.html) ||
    fail 'a page uses another host, or inline script or style'

# ---- try
equal 'status of try' "$(status "$url/v1/try?user=1&experiment=item-bias&k=3")" 200
equal 'lists' "$(jq -c '[.arms[] | {arm, n: (.items | length)}]' answer)" \
    '[{"arm":"control","n":3},{"arm":"treatment","n":3}]'
equal 'ratings shown' "$(jq '.rated | length' answer)" \
    "$(awk -F, '$1 == 1' train.csv | wc -l | awk '{print $1 < 50 ? $1 : 50}')"
curl -s "$url/v1/recommend?user=1&k=3" >own
assigned=$(jq -r '.assignments["item-bias"] // empty' own)
if [ -n "$assigned" ]; then
    equal 'the arm of try' "$(jq -r .assigned answer)" "$assigned"
    equal 'the list of try' "$(jq -c --arg arm "$assigned" '[.arms[] | select(.arm == $arm) | .items[].item]' answer)" \
        "$(jq -c '[.items[].item]' own)"
fi
equal 'status without a user' "$(status "$url/v1/try?experiment=item-bias")" 400
equal 'status of no experiment' "$(status "$url/v1/try?user=1&experiment=x")" 404

# ---- the stream: a state within a second or two, and a report equal to the analysis
curl -sN --max-time 4 "$url/v1/dashboard/stream" >stream || true
grep -A1 '^event: state' stream | sed -n 's/^data: //p' | tail -n 1 >state.json
equal 'experiment in the state' "$(jq -r '.experiments[0] | .name + " " + .status' state.json)" 'item-bias running'
equal 'last event' "$(jq -r '.events[0] | .type + " " + .user' state.json)" 'exposure 1'
if [ -n "$assigned" ]; then
    grep -A1 '^event: report' stream | sed -n 's/^data: //p' | tail -n 1 | jq -S .report >streamed.json
    "$abtest" analyze logs --json | jq -S . >analyzed.json || true
    cmp streamed.json analyzed.json || fail 'the streamed report is not the analysis'
    # To the last digit: as text, before anything has read the numbers.
    analysis=$("$abtest" analyze logs --json | tr '\n' ' ')
    last=$(grep -A1 '^event: report' stream | sed -n 's/^data: //p' | tail -n 1)
    [[ $last == *"\"report\":${analysis% }}" ]] || fail 'the streamed report differs from the analysis in its text'
    curl -s "$url/v1/experiments/item-bias/report" >live.json
    "$abtest" analyze logs --json >analyzed.json || true
    cmp live.json analyzed.json || fail 'the live report is not the analysis, byte for byte'
fi

# ---- streams have no end, so their number has one, and the others go on
(
    for _ in $(seq 1 256); do
        exec {fd}<>"/dev/tcp/127.0.0.1/$port"
        printf 'GET /v1/dashboard/stream HTTP/1.1\r\nHost: x\r\n\r\n' >&"$fd"
        read -r -u "$fd" _ || exit 1
    done
    : >watching
    exec sleep 600
) &
watchers=$!
at_end() { kill "$watchers" 2>/dev/null || true; }
while [ ! -e watching ]; do
    kill -0 "$watchers" 2>/dev/null || fail 'not 256 dashboards can be watched'
    sleep 0.05
done
equal 'status of one stream more' "$(status --max-time 10 "$url/v1/dashboard/stream")" 503
equal 'status of the rest' "$(status "$url/v1/try?user=1&experiment=item-bias")" 200
kill "$watchers"
wait "$watchers" || true
for _ in $(seq 1 100); do
    [ "$(curl -s -o answer -w '%{http_code}' --max-time 1 "$url/v1/dashboard/stream" || true)" = 503 ] || break
    sleep 0.1
done
equal 'status when the watchers are gone' "$(curl -s -o answer -w '%{http_code}' --max-time 1 "$url/v1/dashboard/stream" || true)" 200

# ---- the report names the model files by their content
for kind in als bpr; do
    hash=$("$abtest" inspect $kind.model | sed -n 's/.* hash \([0-9a-f]*\)$/\1/p')
    equal "hash of $kind in the report" \
        "$("$abtest" analyze logs --json | jq -r ".experiments[0].models[] | select(.model == \"$kind\").hash")" "$hash"
    for format in html text; do
        "$abtest" analyze logs --format $format -o report.$format || true
        grep -q "$hash" report.$format || fail "the $format report does not name $kind's hash $hash"
    done
done

# ---- changes
change() { status -X POST -H 'Content-Type: application/json' "${@:2}" -d "$1" "$url/v1/experiments/item-bias"; }
token='Authorization: Bearer secret'
equal 'without a token' "$(change '{"status":"paused"}')" 401
equal 'with a wrong token' "$(change '{"status":"paused"}' -H 'Authorization: Bearer secreT')" 401
equal 'no such experiment' \
    "$(status -X POST -H "$token" -d '{"status":"paused"}' "$url/v1/experiments/other")" 404
# Another site can make a browser send cookies, a form, or text; none of that is a token, and the
# answer to its question whether it may send the header is no.
evil=(-H 'Origin: https://evil.example' -H 'Sec-Fetch-Site: cross-site' -H 'Cookie: admin_token=secret; token=secret')
equal 'a cross-site form' "$(status -X POST "${evil[@]}" --data-urlencode status=paused \
    --data-urlencode token=secret "$url/v1/experiments/item-bias")" 401
equal 'cross-site text' "$(status -X POST "${evil[@]}" -H 'Content-Type: text/plain' -d '{"status":"paused"}' \
    "$url/v1/experiments/item-bias?token=secret&admin_token=secret")" 401
equal 'Basic instead of Bearer' "$(change '{"status":"paused"}' "${evil[@]}" -u x:secret)" 401
equal 'a GET with a change in it' "$(status "${evil[@]}" -H "$token" "$url/v1/experiments/item-bias?status=paused")" 405
equal 'a preflight' "$(status -X OPTIONS "${evil[@]}" -H 'Access-Control-Request-Method: POST' \
    -H 'Access-Control-Request-Headers: authorization' -D headers "$url/v1/experiments/item-bias")" 405
! grep -qi '^access-control' headers || fail "another origin is let in: $(cat headers)"
equal 'the experiment afterwards' "$(curl -s "$url/v1/experiments" | jq -r '.experiments[0].status')" running

for bad in '' '[]' '{}' '{"status":"draft"}' '{"coverage":2}' '{"coverage":"1"}' '{"alpha":1}' \
    '{"status":"paused","status":"running"}' '{"coverage":0.6,"seed":"x"}'; do
    equal "answer to $bad" "$(change "$bad" -H "$token")" 400
done
cp item-bias.ini before.ini
cmp -s item-bias.ini before.ini

equal 'pause' "$(change '{"status":"paused"}' -H "$token")" 200
equal 'what pause answered' "$(jq -r .status answer)" paused
grep -q '^status = paused ; kept$' item-bias.ini || fail 'the comment was not kept'
equal 'assignments while paused' "$(curl -s "$url/v1/assignments?user=1" | jq -c .assignments)" '{}'
equal 'run and ramp' "$(change '{"status":"running","coverage":1}' -H "$token")" 200
equal 'coverage' "$(curl -s "$url/v1/experiments" | jq '.experiments[0].coverage')" 1
# Less coverage would move users who have an arm: refused, and the file is as it was.
cp item-bias.ini before.ini
equal 'ramp down' "$(change '{"coverage":0.2}' -H "$token")" 409
cmp item-bias.ini before.ini || fail 'a refused change stayed in the file'
# Somebody's unfinished edit of the file is not served by accident.
echo '; half a thought' >>item-bias.ini
equal 'change of an edited file' "$(change '{"status":"paused"}' -H "$token")" 409
grep -q 'reload' answer || fail 'the remedy is not named'

curl -s "$url/v1/recommend?user=1" >/dev/null
stop
equal 'configs in the log' "$("$abtest" logs cat logs | jq -r 'select(.type == "config") | .config' | sort -u | wc -l | awk '{print ($1 >= 2)}')" 1
echo 'e2e_pages: all holds'
