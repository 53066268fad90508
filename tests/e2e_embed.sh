#!/usr/bin/env bash
# embed: coordinates, pictures and the files for an embedding projector.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

"$abtest" synth data --users 80 --items 300 --ratings 6000 --seed 2 >/dev/null
"$abtest" train als --ratings data/ratings.csv --model m --factors 6 --epochs 5 \
    --quiet >/dev/null
"$abtest" embed m --items 200 --iterations 60 --titles data/movies.csv \
    >points.tsv 2>/dev/null
[ "$(wc -l <points.tsv)" -eq 201 ] || fail "not 200 points"
awk -F'\t' 'NR > 1 && (NF != 6 || $2 != $2 + 0 || $3 != $3 + 0 || $6 == "") { exit 1 }' \
    points.tsv || fail "a line of points.tsv is not item, x, y, ratings, head, title"
awk -F'\t' 'NR > 1 { if (last != "" && $4 > last) exit 1; last = $4 }' points.tsv ||
    fail "items are not by ratings"
"$abtest" embed m --items 200 --iterations 60 --titles data/movies.csv --threads 1 \
    2>/dev/null | cmp - points.tsv || fail "threads change the points"
"$abtest" embed m --method pca >/dev/null 2>err
grep -q "of the variance" err || fail "PCA says nothing about variance"

"$abtest" embed m --projector projector --titles data/movies.csv >/dev/null
[ "$(wc -l <projector/vectors.tsv)" -eq 300 ] || fail "not 300 vectors"
[ "$(wc -l <projector/metadata.tsv)" -eq 301 ] || fail "metadata has not a header and 300"
awk -F'\t' 'NF != 6 { exit 1 }' projector/vectors.tsv || fail "a vector has not 6 columns"
awk -F'\t' 'NF != 5 { exit 1 }' projector/metadata.tsv || fail "metadata has not 5 columns"

status=0
"$abtest" embed m --method umap >/dev/null 2>err || status=$?
[ "$status" -eq 2 ] && grep -q "tsne and pca" err || fail "an unknown method"
if command -v gnuplot >/dev/null; then
    "$abtest" embed m --method pca --titles data/movies.csv --plot p.svg 2>/dev/null
    grep -q "80 % of the ratings" p.svg || fail "the picture marks nothing"
fi
echo ok
