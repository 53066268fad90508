#!/usr/bin/env bash
# Items that nobody has rated, and how sure a model is, through the real program: on a set whose
# genres are planted (abtest synth), features predict items that are new better than nothing does.
set -euo pipefail
abtest=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $1" >&2; exit 1; }

"$abtest" synth "$work" --users 400 --items 3000 --ratings 60000 --noise 0.5 >/dev/null
ratings=$work/ratings.csv movies=$work/movies.csv
[ -s "$ratings" ] && [ -s "$movies" ] || fail "synth wrote nothing"

# Every seventh item loses all its ratings.
awk -F, 'NR == 1 || $2 % 7' "$ratings" >"$work/train.csv"
awk -F, 'NR == 1 || $2 % 7 == 0' "$ratings" >"$work/test.csv"
options=(--regularization count --ratings "$work/train.csv" --factors 8 --quiet)
"$abtest" train als "${options[@]}" --model "$work/plain" >/dev/null
"$abtest" train als "${options[@]}" --model "$work/one" --features "$movies" --threads 1 >"$work/out"
"$abtest" train als "${options[@]}" --model "$work/four" --features "$movies" --threads 4 >/dev/null
cmp "$work/one" "$work/four" || fail "another number of threads, another model"
grep -q "^18 genres and 0 tags" "$work/out" || fail "$(cat "$work/out")"
cold() { # model: squared error of items without training ratings, in 1e-4
    "$abtest" evaluate "$1" --ratings "$work/train.csv" --test "$work/test.csv" --json |
        jq '.subjects[0].by_item_ratings[0].rmse * 10000 | floor'
}
[ "$(cold "$work/one")" -lt "$(cold "$work/plain")" ] ||
    fail "cold items: $(cold "$work/one") with genres, $(cold "$work/plain") without"
"$abtest" evaluate "$work/one" --ratings "$work/train.csv" --test "$work/test.csv" >"$work/out"
grep -q "^0  " "$work/out" || fail "no slice of items without ratings"
"$abtest" recommend "$work/one" --user 1 -k 3000 --json |
    jq -e '[.predicted[].item | tonumber | select(. % 7 == 0)] | length > 300' >/dev/null ||
    fail "items that nobody rated are not recommendable"

"$abtest" train ials --ratings "$work/train.csv" --catalogue "$movies" --factors 4 --quiet \
    --model "$work/all" | grep -q " 3000 items," || fail "--catalogue"

for wrong in "bpr --features $movies" "als --gibbs 5 --features $movies" "als --features $movies"; do
    # shellcheck disable=SC2086
    "$abtest" train $wrong --ratings "$work/train.csv" --model "$work/x" >/dev/null 2>"$work/err" &&
        fail "taken: $wrong"
    [ "$(wc -l <"$work/err")" = 1 ] || fail "$wrong: $(cat "$work/err")"
done

"$abtest" train als --gibbs 8 --burn-in 4 --keep 4 --ratings "$work/train.csv" --factors 4 --quiet \
    --model "$work/draws" >/dev/null
"$abtest" recommend "$work/draws" --user 1 -k 3 --uncertainty >"$work/out"
[ "$(grep -c ' +-0\.' "$work/out")" -ge 3 ] || fail "--uncertainty: $(cat "$work/out")"
"$abtest" evaluate "$work/draws" --ratings "$work/train.csv" --test "$work/train.csv" --json 2>/dev/null |
    jq -e '.intervals.levels[2].within > 0.9' >/dev/null || fail "intervals"
"$abtest" recommend "$work/plain" --user 1 --uncertainty 2>"$work/err" && fail "no draws, yet sure"
grep -q "train als --gibbs" "$work/err" || fail "$(cat "$work/err")"
echo "features: all passed"
