#!/usr/bin/env bash
# The pages in Debian's chromium: tests/browser/dashboard.mjs against a server with small models.
# usage: tests/e2e_dashboard.sh PATH/TO/abtest; screenshots stay in $SCREENSHOTS (build/screenshots).
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

screenshots=${SCREENSHOTS:-$here/../build/screenshots}
for tool in chromium node npm; do
    command -v "$tool" >/dev/null || skip "there is no $tool (scripts/install-deps --tests)"
done
[ -d "$here/browser/node_modules/axe-core" ] ||
    (cd "$here/browser" && npm ci --no-audit --no-fund --ignore-scripts >/dev/null)

"$abtest" synth data --users 300 --items 400 --ratings 12000 --seed 3 >/dev/null
"$abtest" split data/ratings.csv --train train.csv --test test.csv --seed 3 >/dev/null
cp data/movies.csv .
for kind in als bpr; do
    "$abtest" train $kind --ratings train.csv --model $kind.model --epochs 3 --quiet >/dev/null
done
sed 's/^\[server\]/[server]\nadmin_token = env:ABTEST_TOKEN/' "$here/../examples/item-bias.ini" >item-bias.ini
status=0
ABTEST_TOKEN=secret node "$here/browser/dashboard.mjs" "$abtest" . || status=$?
mkdir -p "$screenshots"
cp screenshots/*.png screenshots/*.pdf "$screenshots"/ 2>/dev/null || true
exit "$status"
