#!/usr/bin/env bash
# The server as its users meet it: recommend, feedback, assignments, errors, a clean end.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

small_ratings >ratings.csv
{
    echo movieId,title,genres
    for i in $(seq 1 60); do echo "$i,\"The \"\"Film\"\" No. $i, a \\ story\",Drama"; done
} >movies.csv
train als --epochs 3
train bpr --epochs 3
{ models_and_metric; cat; } >exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
threads = 2
[log]
directory = logs
fsync = no
[data]
ratings = ratings.csv
titles = movies.csv
[serving]
model = als
k = 5
[experiment which-model]
status = running
primary = satisfied
[arm which-model als]
weight = 0.5
model = als
[arm which-model bpr]
weight = 0.5
model = bpr
INI

start first

# A list: k items, none of them rated, scores falling, titles as in the file.
answer=$(get "$url/v1/recommend?user=7&k=8")
[ "$(jq '.items | length' <<<"$answer")" = 8 ] || fail "k=8: $answer"
jq -r '.items[].item' <<<"$answer" >items
grep -qxFf <(awk -F, '$1 == 7 { print $2 }' ratings.csv) items && fail "a rated item: $answer"
jq -e '[.items[].score] | . == (sort | reverse)' <<<"$answer" >/dev/null || fail "order: $answer"
item=$(head -1 items)
[ "$(jq -r '.items[0].title' <<<"$answer")" = "The \"Film\" No. $item, a \\ story" ] || fail "title: $answer"
jq -e '.request_id and .user == "7" and (.fallback | not)' <<<"$answer" >/dev/null || fail "$answer"

# The arm is the one that `assign` says, and its model answers.
for user in 5 8 19 20; do
    arm=$("$abtest" assign exp.ini --user "$user" | cut -f 3)
    get "$url/v1/recommend?user=$user" >answer
    jq -e --arg arm "$arm" '.assignments["which-model"] == $arm and .model == $arm and (.items | length) == 5' \
        answer >/dev/null || fail "user $user is not in arm $arm: $(cat answer)"
    [ "$(get "$url/v1/assignments?user=$user" | jq -r '.assignments["which-model"]')" = "$arm" ] || fail "assignments"
done

# Somebody new gets the popular items, and is told.
get "$url/v1/recommend?user=J%C3%BCrgen+%26+co" >answer
jq -e '.user == "Jürgen & co" and .fallback == "popular" and
       ([.items[].score] | . == (sort | reverse))' answer >/dev/null || fail "popular: $(cat answer)"

# Feedback: one, several, a retry, and nothing of an array with a mistake.
post() { get -d "$1" "$url/v1/feedback"; }
[ "$(post '{"id":"f1","user":"7","event":"satisfied","value":1}')" = '{"accepted":1,"duplicates":0}' ] || fail "feedback"
[ "$(post '[{"id":"f1","user":"7","event":"satisfied"},{"user":"8","event":"satisfied"}]')" = \
    '{"accepted":1,"duplicates":1}' ] || fail "duplicate"
expect 400 'event 1: event is missing' -d '[{"id":"f2","user":"7","event":"x"},{"user":"8"}]' "$url/v1/feedback"
[ "$(post '{"id":"f2","user":"7","event":"x"}')" = '{"accepted":1,"duplicates":0}' ] || fail "a refused id stays free"
[ "$(get -H 'Transfer-Encoding: chunked' -H 'Expect: 100-continue' -d '{"user":"9","event":"y","value":0.5}' \
    "$url/v1/feedback")" = '{"accepted":1,"duplicates":0}' ] || fail "chunked"

# Mistakes are answered with a problem that says what is wrong.
expect 400 'user is missing' "$url/v1/recommend"
expect 400 '1 to 256 bytes' "$url/v1/recommend?user="
expect 400 'not valid UTF-8' "$url/v1/recommend?user=%ff"
expect 400 'hexadecimal' "$url/v1/recommend?user=%4"
expect 400 'given twice' "$url/v1/recommend?user=1&user=2"
for k in 0 1001 -1 1.5 ten 1e2 '' 99999999999999999999; do
    expect 400 'k must be a whole number between 1 and 1000' "$url/v1/recommend?user=7&k=$k"
done
expect 404 'nothing at this path' "$url/v1/recommendations"
expect 404 'no experiment' "$url/v1/experiments/nope/report"
expect 405 'takes GET, HEAD' -X POST "$url/v1/recommend?user=7"
expect 405 'takes POST' "$url/v1/feedback"
expect 400 'not JSON' -d 'user=7' "$url/v1/feedback"
expect 400 'unknown member' -d '{"user":"7","event":"x","valeu":1}' "$url/v1/feedback"
expect 400 'value must be a number' -d '{"user":"7","event":"x","value":"1"}' "$url/v1/feedback"
expect 400 'ts must be' -d '{"user":"7","event":"x","ts":99999999999999999}' "$url/v1/feedback"
expect 400 'id must not be a request_id' -d "{\"id\":\"$(jq -r .request_id answer)\",\"user\":\"7\",\"event\":\"x\"}" "$url/v1/feedback"
expect 400 'user must be a string' -d '{"user":7,"event":"x"}' "$url/v1/feedback"
expect 400 'duplicate object key' -d '{"user":"7","user":"8","event":"x"}' "$url/v1/feedback"
expect 400 'duplicate object key' -d '{"context":{"targetingKey":"7","targetingKey":"8"}}' "$url/ofrep/v1/evaluate/flags/which-model"
expect 400 'a JSON object' -d '[1]' "$url/v1/feedback"
expect 413 'longer' -H 'Expect:' --data-binary @<(head -c 2000000 /dev/zero) "$url/v1/feedback"
curl -s -D headers -o /dev/null "$url/v1/recommend"
grep -qi '^content-type: application/problem+json' headers || fail "errors are problems: $(cat headers)"

# HEAD is GET without the body, and shows nobody anything.
curl -sI "$url/v1/recommend?user=7" >headers
grep -q '^HTTP/1.1 200' headers || fail "HEAD: $(cat headers)"
# It states the length that GET would have; the id that counts on may have a digit more.
stated=$(tr -d '\r' <headers | awk 'tolower($1) == "content-length:" { print $2 }')
sent=$(get "$url/v1/recommend?user=7" | wc -c)
[ $((stated > sent ? stated - sent : sent - stated)) -le 2 ] || fail "HEAD states $stated bytes, GET sends $sent"
expect 200 '"ok"' "$url/healthz"
expect 200 'ready' "$url/readyz"
expect 200 'which-model' "$url/v1/experiments"
expect 200 '"experiments"' "$url/v1/experiments/which-model/report"

# Requests sent at once are answered in order, on one connection.
exec 5<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /v1/assignments?user=%s HTTP/1.1\r\nHost: x\r\n\r\n' p1 p2 p3 >&5
printf 'GET /v1/assignments?user=p4 HTTP/1.0\r\n\r\n' >&5
grep -ao '"user":"p[0-9]"' <&5 | tr -d '\n' >pipelined
exec 5>&-
[ "$(cat pipelined)" = '"user":"p1""user":"p2""user":"p3""user":"p4"' ] || fail "pipelining: $(cat pipelined)"

# A second server on the same log, or the same port, is refused and says why.
"$abtest" serve exp.ini >out.busy 2>err.busy && fail "two servers on one log"
sed 's/= logs/= other/' exp.ini >other.ini
"$abtest" serve other.ini --port "$port" >out.busy 2>err.busy && fail "two servers on one port"
grep -q "127.0.0.1:$port" err.busy || fail "the busy port is not named"

# A clean end loses nothing: what was answered is in the log, once.
exposures=8 # 1 + 4 + 1 + 1 lists above, and one while stopping
get "$url/v1/recommend?user=11" >/dev/null
stop
"$abtest" logs verify logs >/dev/null || fail "the log is damaged"
"$abtest" logs cat logs >events
[ "$(jq -s '[.[] | select(.type == "exposure")] | length' events)" -eq "$exposures" ] || fail "not $exposures exposures"
[ "$(jq -s '[.[] | select(.type == "feedback")] | length' events)" -eq 4 ] || fail "not 4 feedback events"
jq -se '[.[] | select(.type == "exposure" and (.model | endswith(":popular")))] | length == 1' events >/dev/null ||
    fail "the log does not say which list was popular"
jq -se --slurpfile items <(jq -R . items) \
    '[.[] | select(.type == "exposure" and .user == "7")][0].items == $items' events >/dev/null ||
    fail "the log has another list than the answer"

# After a restart: ids that were counted stay counted, a new user's ratings shape the list.
start again
[ "$(post '{"id":"f1","user":"7","event":"satisfied"}')" = '{"accepted":0,"duplicates":1}' ] || fail "an id was forgotten"
for item in 3 6 9; do post "{\"user\":\"new\",\"event\":\"rating\",\"item\":\"$item\",\"value\":5}" >/dev/null; done
get "$url/v1/recommend?user=new" >folded
jq -e '.fallback == "folded" and (.items | length) == 5 and
       ([.items[].item] | inside(["3", "6", "9"]) | not)' folded >/dev/null || fail "fold-in: $(cat folded)"
stop
start third
[ "$(get "$url/v1/recommend?user=new" | jq -c .items)" = "$(jq -c .items folded)" ] || fail "ratings were forgotten"
"$abtest" logs cat logs | jq -se '[.[] | select(.type == "exposure" and .user == "new") | .model | endswith(":folded")] == [true, true]' >/dev/null ||
    fail "the log does not say which lists were folded in"
get "$url/metrics" >metrics
grep -q '^abtest_exposures_total{experiment="which-model",arm=".*"} 1$' metrics || fail "metrics"
stop

# Sampled lists carry the probability of every place, and differ from request to request.
sed 's/^k = 5/k = 5\nexplore = 0.5/; s/= logs/= sampled/' exp.ini >explore.ini
config=explore.ini start explore
for _ in 1 2 3 4 5 6; do get "$url/v1/recommend?user=8" | jq -c '[.items[].item]'; done | sort -u >lists
stop
[ "$(wc -l <lists)" -gt 1 ] || fail "six sampled lists are the same"
"$abtest" logs cat sampled | jq -se '[.[] | select(.type == "exposure")] |
    all(.propensities | length == 5 and all(. > 0 and . <= 1))' >/dev/null || fail "propensities"

# Under load: stop in the middle, then count.
start load
for _ in 1 2 3 4; do
    (for u in $(seq 1 400); do
        printf 'url = "%s/v1/recommend?user=%s"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\n' "$url" "$u"
    done | curl -s --max-time 20 -K - 2>/dev/null || true) >"codes.$_" &
done
clients=$(jobs -p | grep -vx "$server")
while [ "$(cat codes.* 2>/dev/null | grep -c 200)" -lt 50 ]; do sleep 0.02; done
stop
# shellcheck disable=SC2086
wait $clients || true
answered=$(cat codes.* | grep -c '^200$')
logged=$("$abtest" logs cat logs | jq -s '[.[] | select(.type == "exposure")] | length')
exposures=$((exposures + 2)) # of the new user
[ "$((logged - exposures))" -ge "$answered" ] || fail "$answered lists were answered, $((logged - exposures)) logged"
grep -v '^\(200\|000\)$' codes.* && fail "answers other than 200 while stopping"
[ ! -s err.load ] || fail "trouble was told"
echo "serve: all passed"
