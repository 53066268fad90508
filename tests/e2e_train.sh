#!/usr/bin/env bash
# Trains through the real program: same bytes twice, split and --test-fraction agree,
# mistakes are named.
set -euo pipefail
abtest=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $1" >&2; exit 1; }

{
    echo userId,movieId,rating,timestamp
    for u in $(seq 1 60); do
        for i in $(seq $((u % 3 + 1)) 3 90); do
            echo "$u,$i,$(((u * i + u / 3) % 9 + 2))e-1,1000"
        done
    done
} | sed 's/\([0-9]\+\)e-1/\1/; s/,\([0-9]\+\),1000/,\1.0,1000/' >"$work/ratings.csv"

for kind in als bpr ials; do
    train=("$abtest" train "$kind" --ratings "$work/ratings.csv" --epochs 4 --factors 8
           --test-fraction 0.2 --seed 3)
    "${train[@]}" --threads 1 --model "$work/a" --history "$work/h.tsv" >"$work/out" 2>"$work/err"
    "${train[@]}" --threads 4 --model "$work/b" --json >"$work/json" 2>/dev/null
    cmp "$work/a" "$work/b" || fail "$kind: another number of threads, another model"
    [ "$(grep -c '^epoch' "$work/err")" = 4 ] || fail "$kind: not a line per epoch"
    [ "$(wc -l <"$work/h.tsv")" = 5 ] || fail "$kind: history"
    grep -q '"n_test":' "$work/json" || fail "$kind: json"
done

"$abtest" split "$work/ratings.csv" --test-fraction 0.2 --seed 3 \
    --train "$work/train.csv" --test "$work/test.csv" >/dev/null
[ "$(head -1 "$work/test.csv")" = "userId,movieId,rating,timestamp" ] || fail "header"
diff <(sort "$work/ratings.csv") <(tail -n +2 "$work/test.csv" | sort - "$work/train.csv") ||
    fail "split lost or made lines"
held_out=$(($(wc -l <"$work/test.csv") - 1))
grep -q "\"n_test\":$held_out," "$work/json" || fail "train and split hold out different lines"
"$abtest" train als --ratings "$work/train.csv" --test "$work/test.csv" --epochs 1 \
    --model "$work/c" --quiet | grep -q "on $held_out held-out" || fail "--test"

echo "7,8,nan" >>"$work/ratings.csv"
lines=$(wc -l <"$work/ratings.csv")
if "$abtest" train als --ratings "$work/ratings.csv" --model "$work/d" 2>"$work/err"; then
    fail "a bad line was taken"
fi
grep -q "ratings.csv:$lines: rating \"nan\"" "$work/err" || fail "the bad line is not named"
[ ! -e "$work/d" ] || fail "a model from bad ratings"
"$abtest" train als --ratings "$work/ratings.csv" --model "$work/d" --skip-bad --epochs 1 \
    2>"$work/err" >/dev/null || fail "--skip-bad"
grep -q "skipped 1 bad lines" "$work/err" || fail "--skip-bad does not count"

held=(--ratings "$work/train.csv" --test "$work/test.csv" --factors 4 --quiet)
"$abtest" train als "${held[@]}" --gibbs 6 --burn-in 2 --keep 3 --model "$work/g" --json \
    >"$work/json" || fail "--gibbs"
grep -q '"gibbs_draws":6,"gibbs_kept":3' "$work/json" || fail "--gibbs is not in the settings"
"$abtest" train als "${held[@]}" --regularization count --epochs 30 --patience 2 \
    --model "$work/p" --history "$work/h.tsv" --json >"$work/json" || fail "--patience"
best=$(tail -n +2 "$work/h.tsv" | sort -t"$(printf '\t')" -k4,4g | head -1 | cut -f1)
grep -q "\"epochs\":$best," "$work/json" || fail "--patience does not keep the best epoch"
"$abtest" train bpr "${held[@]}" --tune 3 --epochs 3 --tune-table "$work/t.tsv" \
    --model "$work/t" >/dev/null || fail "--tune"
[ "$(wc -l <"$work/t.tsv")" = 4 ] || fail "--tune: not a line per trial"
differ() { # differ KEY: trials of the table that have a value of their own
    grep -o "\"$1\":[0-9.e-]*" "$work/t.tsv" | sort -u | wc -l
}
for key in bias_rate start learning_rate; do
    [ "$(differ $key)" = 3 ] || fail "--tune bpr does not search $key"
done
{
    echo movieId,title,genres
    for i in $(seq 1 90); do echo "$i,Film $i,$([ $((i % 2)) = 0 ] && echo Drama || echo War)"; done
} >"$work/movies.csv"
"$abtest" train als "${held[@]}" --regularization count --features "$work/movies.csv" \
    --tune 3 --epochs 3 --tune-table "$work/t.tsv" --model "$work/t" >/dev/null ||
    fail "--tune with --features"
[ "$(differ feature_ridge)" = 3 ] || fail "--tune als does not search feature_ridge"
"$abtest" train als --ratings "$work/train.csv" --model "$work/x" --patience 2 2>"$work/err" &&
    fail "--patience without held-out ratings"
grep -q "needs held-out ratings" "$work/err" || fail "--patience: $(cat "$work/err")"

status=0
"$abtest" train svd --ratings "$work/ratings.csv" --model "$work/e" 2>/dev/null || status=$?
[ $status = 2 ] || fail "an unknown model is exit status $status"
echo "train: all passed"
