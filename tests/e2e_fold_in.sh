#!/usr/bin/env bash
# Users who come after training: adding them to a model must predict their held-out ratings
# as well as training with them would have (at most 1 % more error).
set -euo pipefail
abtest=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

"$abtest" synth "$dir/data" --users 240 --items 600 --ratings 24000 --seed 5 >/dev/null
"$abtest" split "$dir/data/ratings.csv" --train "$dir/train.csv" --test "$dir/test.csv" >/dev/null
awk -F, 'NR == 1 || $1 % 5 != 0' "$dir/train.csv" >"$dir/before.csv"
awk -F, 'NR == 1 || $1 % 5 == 0' "$dir/train.csv" >"$dir/new.csv"
awk -F, 'NR == 1 || $1 % 5 == 0' "$dir/test.csv" >"$dir/new-test.csv"
train="--factors 8 --tau 8 --epochs 12 --quiet"
"$abtest" train als --ratings "$dir/before.csv" --model "$dir/before.model" $train >/dev/null
"$abtest" train als --ratings "$dir/train.csv" --model "$dir/full.model" $train >/dev/null
"$abtest" fold-in "$dir/before.model" --ratings "$dir/new.csv" --output "$dir/folded.model" \
    --json >"$dir/summary"
jq -e '.new_users == 48 and .solved_again == 0' "$dir/summary" >/dev/null ||
    fail "summary: $(cat "$dir/summary")"
rmse() {
    "$abtest" evaluate "$1" --ratings "$dir/train.csv" --test "$dir/new-test.csv" --json |
        jq '.subjects[0].rmse'
}
folded=$(rmse "$dir/folded.model") full=$(rmse "$dir/full.model")
jq -en "$folded <= 1.01 * $full" >/dev/null || fail "RMSE $folded folded in, $full trained"

"$abtest" recommend "$dir/folded.model" --user 5 -k 3 --ratings "$dir/new.csv" \
    --titles "$dir/data/movies.csv" --json >"$dir/out"
jq -e '(.liked | length) == 3 and (.predicted | length) == 3 and .predicted[0].title != null' \
    "$dir/out" >/dev/null || fail "recommend: $(cat "$dir/out")"
"$abtest" recommend "$dir/folded.model" --user 5 --titles "$dir/data/movies.csv" | grep -q predicted
status=0
"$abtest" recommend "$dir/before.model" --user 5 >/dev/null 2>"$dir/err" || status=$?
[ "$status" -eq 1 ] && grep -q "fold-in" "$dir/err" || fail "an unknown user: $(cat "$dir/err")"
echo "ok: RMSE $folded folded in, $full trained"
