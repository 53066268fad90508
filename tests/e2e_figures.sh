#!/usr/bin/env bash
# history and inspect, and scripts/figures on a small planted set: every figure is on the page.
set -euo pipefail
abtest=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
here=$(cd "$(dirname "$0")/.." && pwd)

"$abtest" synth "$dir/data" --users 60 --items 240 --ratings 4000 --seed 4 >/dev/null
train=(--ratings "$dir/data/ratings.csv" --test-fraction 0.1 --quiet)
"$abtest" train als "${train[@]}" --model "$dir/als.model" --epochs 4 --history "$dir/als.tsv" >/dev/null
"$abtest" train bpr "${train[@]}" --model "$dir/bpr.model" --epochs 6 --history "$dir/bpr.tsv" >/dev/null
"$abtest" history "$dir/als.tsv" "$dir/bpr.tsv" >"$dir/out"
grep -qE '^als +4 RMSE ' "$dir/out" && grep -qE '^bpr +6 AUC ' "$dir/out" || fail "history: $(cat "$dir/out")"
PATH=/nonexistent "$abtest" history "$dir/als.tsv" --plot "$dir/p.svg" >"$dir/tsv" 2>/dev/null
grep -qP '^RMSE\tals, test\t4\t' "$dir/tsv" || fail "history without gnuplot gives no data"
printf 'epoch\tloss\n1\t2\n' >"$dir/bad.tsv"
! "$abtest" history "$dir/bad.tsv" 2>"$dir/err" >/dev/null || fail "a file that is no history"
grep -q "bad.tsv:1: not a history" "$dir/err" || fail "the bad file is not named: $(cat "$dir/err")"
printf 'epoch\tloss\ttrain_rmse\n1\tx\t2\n' >"$dir/bad.tsv"
! "$abtest" history "$dir/bad.tsv" 2>"$dir/err" >/dev/null || fail "a cell that is no number"
grep -q 'bad.tsv:2: "x" is not a number' "$dir/err" || fail "the bad cell is not named"

"$abtest" inspect "$dir/als.model" >"$dir/out"
grep -q "^user bias  lowest" "$dir/out" && grep -q '"kind":"als"' "$dir/out" || fail "inspect als"
"$abtest" inspect "$dir/bpr.model" >"$dir/out"
! grep -q "^user bias" "$dir/out" || fail "BPR has no user biases"

command -v gnuplot >/dev/null || exit 0
ABTEST=$abtest "$here/scripts/figures" "$dir/data" --out "$dir/figures" >"$dir/out" 2>"$dir/err" ||
    fail "scripts/figures: $(tail -5 "$dir/err")"
grep -q '^12 figures: ' "$dir/out" || fail "not twelve figures: $(cat "$dir/out")"
page=$dir/figures/index.html
for n in 1 2 3 5 6 7 8 9 10 11 12 13; do
    grep -q "<figure id=\"figure-$n\">" "$page" || fail "no figure $n"
    grep -q "<li><a href=\"#figure-$n\">" "$page" || fail "figure $n is not in the contents"
done
! grep -q 'id="figure-4"' "$page" || fail "there is a figure 4"
[ "$(grep -c '<img ' "$page")" -ge 14 ] || fail "fewer than fourteen pictures"
[ "$(grep -c '^<pre class="command"><code>abtest ' "$page")" -eq 13 ] || fail "a figure without its command"
! grep -qE '(src|href)="https?:' "$page" || fail "the page needs the network"
grep -q 'id="table"' "$page" && [ -s "$dir/figures/trial.html" ] || fail "no evaluation, or no report"
echo ok
