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

for kind in als bpr; do
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

status=0
"$abtest" train svd --ratings "$work/ratings.csv" --model "$work/e" 2>/dev/null || status=$?
[ $status = 2 ] || fail "an unknown model is exit status $status"
echo "train: all passed"
