#!/usr/bin/env bash
# history and inspect, and scripts/figures on a small planted set: every figure is on the page.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

"$abtest" synth data --users 60 --items 240 --ratings 4000 --seed 4 >/dev/null
train=(--ratings data/ratings.csv --test-fraction 0.1 --quiet)
"$abtest" train als "${train[@]}" --model als.model --epochs 4 --history als.tsv >/dev/null
"$abtest" train bpr "${train[@]}" --model bpr.model --epochs 6 --history bpr.tsv >/dev/null
"$abtest" history als.tsv bpr.tsv >out
grep -qE '^als +4 RMSE ' out && grep -qE '^bpr +6 AUC ' out || fail "history: $(cat out)"
PATH=/nonexistent "$abtest" history als.tsv --plot p.svg >tsv 2>/dev/null
grep -qP '^RMSE\tals, test\t4\t' tsv || fail "history without gnuplot gives no data"
printf 'epoch\tloss\n1\t2\n' >bad.tsv
! "$abtest" history bad.tsv 2>err >/dev/null || fail "a file that is no history"
grep -q "bad.tsv:1: not a history" err || fail "the bad file is not named: $(cat err)"
printf 'epoch\tloss\ttrain_rmse\n1\tx\t2\n' >bad.tsv
! "$abtest" history bad.tsv 2>err >/dev/null || fail "a cell that is no number"
grep -q 'bad.tsv:2: "x" is not a number' err || fail "the bad cell is not named"

"$abtest" inspect als.model >out
grep -q "^user bias  lowest" out && grep -q '"kind":"als"' out || fail "inspect als"
"$abtest" inspect bpr.model >out
! grep -q "^user bias" out || fail "BPR has no user biases"

command -v gnuplot >/dev/null || exit 0
ABTEST=$abtest "$here/../scripts/figures" data --out figures >out 2>err ||
    fail "scripts/figures: $(tail -5 err)"
grep -q '^12 figures: ' out || fail "not twelve figures: $(cat out)"
page=figures/index.html
for n in 1 2 3 5 6 7 8 9 10 11 12 13; do
    grep -q "<figure id=\"figure-$n\">" "$page" || fail "no figure $n"
    grep -q "<li><a href=\"#figure-$n\">" "$page" || fail "figure $n is not in the contents"
done
! grep -q 'id="figure-4"' "$page" || fail "there is a figure 4"
[ "$(grep -c '<img ' "$page")" -ge 14 ] || fail "fewer than fourteen pictures"
[ "$(grep -c '^<pre class="command"><code>abtest ' "$page")" -eq 13 ] || fail "a figure without its command"
! grep -qE '(src|href)="https?:' "$page" || fail "the page needs the network"
grep -q 'id="table"' "$page" && [ -s figures/trial.html ] || fail "no evaluation, or no report"
echo ok
