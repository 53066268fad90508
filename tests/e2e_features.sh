#!/usr/bin/env bash
# Items that nobody has rated, and how sure a model is, through the real program: on a set whose
# genres are planted (abtest synth), features predict items that are new better than nothing does.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

"$abtest" synth . --users 400 --items 3000 --ratings 60000 --noise 0.5 >/dev/null
ratings=ratings.csv movies=movies.csv
[ -s "$ratings" ] && [ -s "$movies" ] || fail "synth wrote nothing"

# Every seventh item loses all its ratings.
awk -F, 'NR == 1 || $2 % 7' "$ratings" >train.csv
awk -F, 'NR == 1 || $2 % 7 == 0' "$ratings" >test.csv
options=(--regularization count --ratings train.csv --factors 8 --quiet)
"$abtest" train als "${options[@]}" --model plain >/dev/null
"$abtest" train als "${options[@]}" --model one --features "$movies" --threads 1 >out
"$abtest" train als "${options[@]}" --model four --features "$movies" --threads 4 >/dev/null
cmp one four || fail "another number of threads, another model"
grep -q "^18 genres and 0 tags" out || fail "$(cat out)"
cold() { # model: squared error of items without training ratings, in 1e-4
    "$abtest" evaluate "$1" --ratings train.csv --test test.csv --json |
        jq '.subjects[0].by_item_ratings[0].rmse * 10000 | floor'
}
[ "$(cold one)" -lt "$(cold plain)" ] ||
    fail "cold items: $(cold one) with genres, $(cold plain) without"
"$abtest" evaluate one --ratings train.csv --test test.csv >out
grep -q "^0  " out || fail "no slice of items without ratings"
"$abtest" recommend one --user 1 -k 3000 --json |
    jq -e '[.predicted[].item | tonumber | select(. % 7 == 0)] | length > 300' >/dev/null ||
    fail "items that nobody rated are not recommendable"

"$abtest" train ials --ratings train.csv --catalogue "$movies" --factors 4 --quiet \
    --model all | grep -q " 3000 items," || fail "--catalogue"

# The same items, but not even their names known in training: they come with fold-in.
"$abtest" inspect one | grep -q "^features   18 genres and 0 tags .* 19 x 9" ||
    fail "inspect: $("$abtest" inspect one)"
awk -F, 'NR == 1 || $1 % 7' "$movies" >before.csv
"$abtest" train als "${options[@]}" --model before --features before.csv >/dev/null
for threads in 1 4; do
    "$abtest" fold-in before --ratings train.csv --features "$movies" --threads $threads \
        --output later$threads --json >summary
done
cmp later1 later4 || fail "another number of threads, another folded model"
jq -e '.new_items > 400 and .new_unrated_items == .new_items' summary >/dev/null ||
    fail "summary: $(cat summary)"
"$abtest" inspect later1 | grep -q "^features   18 genres" || fail "the map was lost"
folded=$(cold later1) nothing=$(cold plain)
[ "$folded" -lt "$nothing" ] || fail "cold items: $folded folded in, $nothing without"
"$abtest" fold-in plain --ratings train.csv --features "$movies" --output x 2>err &&
    fail "folded in by a map that is not there"
grep -q "has no map from features" err || fail "$(cat err)"

for wrong in "bpr --features $movies" "als --gibbs 5 --features $movies" "als --features $movies"; do
    # shellcheck disable=SC2086
    "$abtest" train $wrong --ratings train.csv --model x >/dev/null 2>err &&
        fail "taken: $wrong"
    [ "$(wc -l <err)" = 1 ] || fail "$wrong: $(cat err)"
done

"$abtest" train als --gibbs 8 --burn-in 4 --keep 4 --ratings train.csv --factors 4 --quiet \
    --model draws >/dev/null
"$abtest" recommend draws --user 1 -k 3 --uncertainty >out
[ "$(grep -c ' +-0\.' out)" -ge 3 ] || fail "--uncertainty: $(cat out)"
"$abtest" evaluate draws --ratings train.csv --test train.csv --json 2>/dev/null |
    jq -e '.intervals.levels[2].within > 0.9' >/dev/null || fail "intervals"
"$abtest" recommend plain --user 1 --uncertainty 2>err && fail "no draws, yet sure"
grep -q "train als --gibbs" err || fail "$(cat err)"
echo "features: all passed"
