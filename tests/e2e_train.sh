#!/usr/bin/env bash
# Trains through the real program: same bytes twice, split and --test-fraction agree,
# mistakes are named.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

{
    echo userId,movieId,rating,timestamp
    for u in $(seq 1 60); do
        for i in $(seq $((u % 3 + 1)) 3 90); do
            echo "$u,$i,$(((u * i + u / 3) % 9 + 2))e-1,1000"
        done
    done
} | sed 's/\([0-9]\+\)e-1/\1/; s/,\([0-9]\+\),1000/,\1.0,1000/' >ratings.csv

for kind in als bpr ials; do
    train=("$abtest" train "$kind" --ratings ratings.csv --epochs 4 --factors 8
           --test-fraction 0.2 --seed 3)
    "${train[@]}" --threads 1 --model a --history h.tsv >out 2>err
    "${train[@]}" --threads 4 --model b --json >json 2>/dev/null
    cmp a b || fail "$kind: another number of threads, another model"
    [ "$(grep -c '^epoch' err)" = 4 ] || fail "$kind: not a line per epoch"
    [ "$(wc -l <h.tsv)" = 5 ] || fail "$kind: history"
    grep -q '"n_test":' json || fail "$kind: json"
done

"$abtest" split ratings.csv --test-fraction 0.2 --seed 3 \
    --train train.csv --test test.csv >/dev/null
[ "$(head -1 test.csv)" = "userId,movieId,rating,timestamp" ] || fail "header"
diff <(sort ratings.csv) <(tail -n +2 test.csv | sort - train.csv) ||
    fail "split lost or made lines"
held_out=$(($(wc -l <test.csv) - 1))
grep -q "\"n_test\":$held_out," json || fail "train and split hold out different lines"
"$abtest" train als --ratings train.csv --test test.csv --epochs 1 \
    --model c --quiet | grep -q "on $held_out held-out" || fail "--test"

echo "7,8,nan" >>ratings.csv
lines=$(wc -l <ratings.csv)
if "$abtest" train als --ratings ratings.csv --model d 2>err; then
    fail "a bad line was taken"
fi
grep -q "ratings.csv:$lines: rating \"nan\"" err || fail "the bad line is not named"
[ ! -e d ] || fail "a model from bad ratings"
"$abtest" train als --ratings ratings.csv --model d --skip-bad --epochs 1 \
    2>err >/dev/null || fail "--skip-bad"
grep -q "skipped 1 bad lines" err || fail "--skip-bad does not count"

held=(--ratings train.csv --test test.csv --factors 4 --quiet)
"$abtest" train als "${held[@]}" --gibbs 6 --burn-in 2 --keep 3 --model g --json \
    >json || fail "--gibbs"
grep -q '"gibbs_draws":6,"gibbs_kept":3' json || fail "--gibbs is not in the settings"
"$abtest" train als "${held[@]}" --regularization count --epochs 30 --patience 2 \
    --model p --history h.tsv --json >json || fail "--patience"
best=$(tail -n +2 h.tsv | sort -t"$(printf '\t')" -k4,4g | head -1 | cut -f1)
grep -q "\"epochs\":$best," json || fail "--patience does not keep the best epoch"
"$abtest" train bpr "${held[@]}" --tune 3 --epochs 3 --tune-table t.tsv \
    --model t >/dev/null || fail "--tune"
[ "$(wc -l <t.tsv)" = 4 ] || fail "--tune: not a line per trial"
differ() { # differ KEY: trials of the table that have a value of their own
    grep -o "\"$1\":[0-9.e-]*" t.tsv | sort -u | wc -l
}
for key in bias_rate start learning_rate; do
    [ "$(differ $key)" = 3 ] || fail "--tune bpr does not search $key"
done
{
    echo movieId,title,genres
    for i in $(seq 1 90); do echo "$i,Film $i,$([ $((i % 2)) = 0 ] && echo Drama || echo War)"; done
} >movies.csv
"$abtest" train als "${held[@]}" --regularization count --features movies.csv \
    --tune 3 --epochs 3 --tune-table t.tsv --model t >/dev/null ||
    fail "--tune with --features"
[ "$(differ feature_ridge)" = 3 ] || fail "--tune als does not search feature_ridge"
"$abtest" train als --ratings train.csv --model x --patience 2 2>err &&
    fail "--patience without held-out ratings"
grep -q "needs held-out ratings" err || fail "--patience: $(cat err)"

# Every way of training gives the same bytes at 1, 2 and 4 threads.
while read -r options; do
    for threads in 1 2 4; do
        # shellcheck disable=SC2086
        "$abtest" train $options "${held[@]}" --threads $threads --model "same$threads" >/dev/null ||
            fail "train $options"
    done
    { cmp same1 same2 && cmp same1 same4; } || fail "train $options: the threads change the model"
done <<'OPTIONS'
als --regularization count --lambda 2 --tau 3 --tau-bias 0.5 --alpha 1 --epochs 3
als --regularization count --features movies.csv --feature-ridge 5 --epochs 3
als --tau-bias 1 --catalogue movies.csv --epochs 30 --patience 2
als --regularization count --tune 3 --epochs 3
als --gibbs 5 --burn-in 1 --keep 2
bpr --sampling pairs --candidates 3 --average 0.5 --start 0.01 --bias-rate 0.2 --epochs 4
bpr --threshold 4 --catalogue movies.csv --epochs 20 --patience 2
bpr --tune 3 --epochs 3
ials --confidence 30 --nu 0.8 --reg 0.01 --threshold 1.5 --catalogue movies.csv --epochs 3
ials --epochs 20 --patience 2
ials --tune 3 --epochs 3
OPTIONS

refused() { # refused MESSAGE options...: exit status 2 and the message
    local said=$1 status=0
    shift
    "$abtest" train "$@" --ratings train.csv --model refused 2>err >/dev/null || status=$?
    [ $status = 2 ] || fail "train $*: exit status $status"
    grep -qF -- "$said" err || fail "train $*: $(cat err)"
    [ ! -e refused ] || fail "train $*: a model"
}
refused "--tau has no part in bpr, it is for als" bpr --tau 5
refused "--reg has no part in als, it is for bpr, ials" als --reg 5
refused "--keep has no part in als, it is for als --gibbs" als --keep 5
refused "--tau has no part in als --gibbs" als --gibbs 4 --tau 2
refused "--epochs has no part in als --gibbs" als --gibbs 4 --epochs 2
refused "--sampling has no part in ials" ials --sampling pairs
refused "bias rate is 0, not above 0" bpr --bias-rate 0
grep -q deviation err && fail "a mistake that nobody made is named: $(cat err)"
refused "--tune-table is what --tune" als --tune-table t.tsv
refused "--feature-ridge needs --features" als --feature-ridge 7

# Where nothing can be written is said before the work: not a line of an epoch.
for output in "--model missing/m" "--model ." "--model w --history missing/h" \
    "--model w --tune 2 --tune-table missing/t"; do
    status=0
    # shellcheck disable=SC2086
    "$abtest" train als --ratings train.csv $output 2>err >/dev/null || status=$?
    [ $status = 1 ] || fail "train $output: exit status $status"
    [ "$(wc -l <err)" = 1 ] || fail "train $output: $(cat err)"
done
mkfifo fifo
cat fifo >through &
"$abtest" train als "${held[@]}" --epochs 1 --model w --history fifo >/dev/null || fail "--history FIFO"
wait $!
[ -p fifo ] && [ "$(wc -l <through)" = 2 ] || fail "a FIFO is not written to as it stands"

status=0
"$abtest" split train.csv --test-fraction 0.2 --seed 3 --train y --test z 2>err || status=$?
[ $status = 1 ] && grep -q "take another seed" err || fail "split of a split: $(cat err)"
"$abtest" train als --ratings train.csv --test-fraction 0.2 --seed 3 --model w 2>err && fail "split of a split"
grep -q "take another seed" err || fail "training on a split of a split: $(cat err)"

# tau is in the unit of the ratings: those to 100 are told of it, with the tau that fits.
scaled=(--ratings hundred.csv --test hundred-test.csv --regularization count --epochs 15 --quiet --model w)
for part in train test; do
    awk -F, 'NR > 1 { print $1 "," $2 "," $3 * 20 }' $part.csv >hundred-$part.csv
done
mv hundred-train.csv hundred.csv
"$abtest" train als "${scaled[@]}" >out 2>err || fail "ratings to 100"
tau=$(grep -o 'warning: .* --tau [0-9.]*' err | grep -o '[0-9.]*$') || fail "no word of the unit: $(cat err)"
"$abtest" train als "${scaled[@]}" --tau "$tau" >fitting 2>err || fail "--tau $tau"
[ ! -s err ] || fail "a warning for a tau that was given: $(cat err)"
rmse() { grep -o 'test rmse [0-9.]*' "$1" | cut -d' ' -f3; }
"$abtest" train als "${held[@]}" --factors 20 --regularization count --model w \
    --tau "$(awk -v tau="$tau" 'BEGIN { print tau / 20 }')" >stars || fail "--tau"
awk -v a="$(rmse fitting)" -v b="$(rmse stars)" 'BEGIN { exit !(a > 19 * b && a < 21 * b) }' ||
    fail "20 times the ratings and tau: $(rmse fitting), not 20 times $(rmse stars)"
"$abtest" train als "${held[@]}" --epochs 1 --model w 2>&1 >/dev/null | grep -q warning && fail "a warning for stars"

# Ratings whose squares no single precision holds: each solver names the remedy that it has.
awk -F, 'NR > 1 { print $1 "," $2 "," $3 * 1e37 }' train.csv >huge.csv
"$abtest" train als --ratings huge.csv --epochs 2 --quiet --model w 2>err && fail "ratings of 1e37"
grep -q "raise the regularisation" err || fail "als of huge ratings: $(cat err)"
"$abtest" train als --gibbs 2 --ratings huge.csv --quiet --model w 2>err && fail "draws of 1e37"
grep -q "divide the ratings by a constant" err || fail "gibbs of huge ratings: $(cat err)"

printf '1,1,4\n1,2,5\n' >all-liked.csv
"$abtest" train bpr --ratings all-liked.csv --model w >out 2>err || fail "nothing to order"
grep -qx "train auc -" out || fail "$(cat out)"
grep -q nan err && fail "$(cat err)"

status=0
"$abtest" train svd --ratings ratings.csv --model e 2>/dev/null || status=$?
[ $status = 2 ] || fail "an unknown model is exit status $status"
echo "train: all passed"
