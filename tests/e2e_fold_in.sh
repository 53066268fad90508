#!/usr/bin/env bash
# Users who come after training: adding them to a model must predict their held-out ratings
# as well as training with them would have (at most 1 % more error).
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

"$abtest" synth data --users 240 --items 600 --ratings 24000 --seed 5 >/dev/null
"$abtest" split data/ratings.csv --train train.csv --test test.csv >/dev/null
awk -F, 'NR == 1 || $1 % 5 != 0' train.csv >before.csv
awk -F, 'NR == 1 || $1 % 5 == 0' train.csv >new.csv
awk -F, 'NR == 1 || $1 % 5 == 0' test.csv >new-test.csv
train="--factors 8 --tau 8 --epochs 12 --quiet"
"$abtest" train als --ratings before.csv --model before.model $train >/dev/null
"$abtest" train als --ratings train.csv --model full.model $train >/dev/null
"$abtest" fold-in before.model --ratings new.csv --output folded.model \
    --json >summary
jq -e '.new_users == 48 and .solved_again == 0' summary >/dev/null ||
    fail "summary: $(cat summary)"
rmse() {
    "$abtest" evaluate "$1" --ratings train.csv --test new-test.csv --json |
        jq '.subjects[0].rmse'
}
folded=$(rmse folded.model) full=$(rmse full.model)
jq -en "$folded <= 1.01 * $full" >/dev/null || fail "RMSE $folded folded in, $full trained"

"$abtest" recommend folded.model --user 5 -k 3 --ratings new.csv \
    --titles data/movies.csv --json >out
jq -e '(.liked | length) == 3 and (.predicted | length) == 3 and .predicted[0].title != null' \
    out >/dev/null || fail "recommend: $(cat out)"
"$abtest" recommend folded.model --user 5 --titles data/movies.csv | grep -q predicted
status=0
"$abtest" recommend before.model --user 5 >/dev/null 2>err || status=$?
[ "$status" -eq 1 ] && grep -q "fold-in" err || fail "an unknown user: $(cat err)"
echo "ok: RMSE $folded folded in, $full trained"
