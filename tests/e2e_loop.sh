#!/usr/bin/env bash
# The whole loop through the real program: synth, split, train, serve, simulate, stop, verify,
# analyze. What the analysis says is held against what the simulation printed.
# usage: tests/e2e_loop.sh PATH/TO/abtest
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

example=$here/../examples/item-bias.ini

serve() { # serve DIR: DIR/item-bias.ini
    launch=(env -C "$1") config=item-bias.ini
    start "$1" --port 0
}

# ---- data and models: the same seed gives the same bytes
"$abtest" synth data --users 200 --items 300 --ratings 8000 --seed 3 >/dev/null
"$abtest" split data/ratings.csv --train train.csv --test test.csv --seed 3 >/dev/null
equal 'lines of train and test' "$(cat train.csv test.csv | grep -c '^[0-9]')" 8000
for run in 1 2; do
    mkdir "run$run"
    cp train.csv data/movies.csv "$example" "run$run/"
    for kind in als bpr; do
        "$abtest" train $kind --ratings train.csv --model "run$run/$kind.model" --epochs 3 --seed 5 --quiet \
            >/dev/null
    done
done
cmp run1/als.model run2/als.model || fail 'the same seed gave another ALS model'
cmp run1/bpr.model run2/bpr.model || fail 'the same seed gave another BPR model'

# ---- the trial of rates 0.45 and 0.72, twice
trial() {
    serve "$1"
    "$abtest" simulate "$1/item-bias.ini" --url "$url" --users 600 --seed 7 --threads "$2" \
        --rates control=0.45,treatment=0.72 --json >"$1/simulated.json"
    stop
    exits 0 "$abtest" logs verify "$1/logs"
    exits 0 "$abtest" analyze "$1/logs" --json
    cp out "$1/report.json"
    exits 0 "$abtest" analyze "$1/logs" --json
    cmp out "$1/report.json" || fail 'the same log gave another report'
}
trial run1 1
trial run2 4

said() { jq -r "$1" run1/simulated.json; }
found() { jq -r ".experiments[0] | $1" run1/report.json; }
equal 'users that came' "$(said .users)" 600
equal 'feedback accepted' "$(said .feedback.accepted)" "$(said .feedback.sent)"
equal 'arms that disagree with the config' "$(said .disagreements)" 0
equal 'exposures in the log' "$("$abtest" logs cat run1/logs | grep -c '"type":"exposure"')" 600
equal 'feedback in the log' "$("$abtest" logs cat run1/logs | grep -c '"type":"feedback"')" \
    "$(said .feedback.sent)"
for arm in 0 1; do
    equal "units of arm $arm" "$(found ".arms[$arm].units")" "$(said ".arms[$arm].users")"
    equal "satisfied of arm $arm" \
        "$(found ".metrics[] | select(.name == \"satisfied\") | .arms[$arm].successes")" \
        "$(said ".arms[$arm].satisfied")"
done
found '.metrics[] | select(.name == "satisfied") | .contrasts[0].fixed.p_value < 1e-6' |
    grep -qx true || fail 'rates of 0.45 and 0.72 were not told apart'

# Same seed: the same counts, rates and p-values, whatever the threads. Latency and the course over
# time are measurements: those differ, and so may the verdict, which minds the latency guardrail.
cmp run1/simulated.json run2/simulated.json || fail 'the same seed simulated something else'
for run in 1 2; do
    jq '.experiments[0] | {units, arms,
        metrics: [.metrics[] | select(.name == "satisfied") | {name, arms, fixed: [.contrasts[].fixed]}]}' \
        "run$run/report.json" >"same$run"
done
cmp same1 same2 || fail 'the same seed gave other numbers'

# Written without a server, the same users react the same.
"$abtest" simulate run1/item-bias.ini --to-log direct --users 600 --seed 7 --threads 2 \
    --rates control=0.45,treatment=0.72 --json >direct.json
equal 'arms without a server' "$(jq -c .arms direct.json)" "$(said '.arms | tojson')"
exits 0 "$abtest" analyze direct --json
equal 'analysis without a server' \
    "$(jq -c '[.experiments[0].metrics[] | select(.name == "satisfied") | .arms[].successes]' out)" \
    "$(jq -c '[.arms[].satisfied]' direct.json)"

# The same seed once more: the same bytes of report in every format.
"$abtest" simulate run1/item-bias.ini --to-log again --users 600 --seed 7 --threads 2 \
    --rates control=0.45,treatment=0.72 >again.txt
for format in text json html csv markdown; do
    "$abtest" analyze direct --format "$format" >"direct.$format"
    "$abtest" analyze again --format "$format" >"again.$format"
    cmp "direct.$format" "again.$format" || fail "the same seed gave another $format report"
done

# ---- held-out truth and clicks, several visits, onto the same log
serve run2
"$abtest" simulate run2/item-bias.ini --url "$url" --truth test.csv --users-from train.csv --json \
    >truth.json
"$abtest" simulate run2/item-bias.ini --url "$url" --truth test.csv --clicks --eta 0.5 --visits 2 \
    --json >clicks.json
stop
jq -e '.users == 200 and .requests == 200 and ([.arms[].satisfied] | add) > 0' truth.json >/dev/null ||
    fail 'nobody was satisfied by what they are known to like'
jq -e '.requests == 400 and .positions[0].examined == 400 and .positions[3].examined < 400 and
    ([.arms[].clicks] | add) == ([.positions[].clicks] | add) and .feedback.duplicates == 0' \
    clicks.json >/dev/null || fail 'clicks do not add up'
exits 0 "$abtest" logs verify run2/logs

# ---- what goes wrong is said
exits 1 "$abtest" simulate run1/item-bias.ini --url "$url" --users 3 --truth test.csv
grep -q "$url/v1/recommend.*(after 0 of 3 users)" err || fail 'a server that is gone is not named'
exits 2 "$abtest" simulate run1/item-bias.ini --users 3 --truth test.csv
exits 1 "$abtest" simulate run1/item-bias.ini --url "$url" --rates control=0.45 --users 3
grep -q 'gives none for arm treatment' err || fail 'a missing rate is not named'

# A changed byte is damage: found, named, and no verdict is given.
segment=$(ls direct/*.jsonl | head -n 1)
sed -i '3s/"user":"\(.\)/"user":"x/' "$segment"
exits 3 "$abtest" logs verify direct
exits 3 "$abtest" analyze direct
echo 'e2e_loop: all holds'
