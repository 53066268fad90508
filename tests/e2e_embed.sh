#!/usr/bin/env bash
# embed: coordinates, pictures and the files for an embedding projector.
set -euo pipefail
abtest=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

"$abtest" synth "$dir/data" --users 80 --items 300 --ratings 6000 --seed 2 >/dev/null
"$abtest" train als --ratings "$dir/data/ratings.csv" --model "$dir/m" --factors 6 --epochs 5 \
    --quiet >/dev/null
"$abtest" embed "$dir/m" --items 200 --iterations 60 --titles "$dir/data/movies.csv" \
    >"$dir/points.tsv" 2>/dev/null
[ "$(wc -l <"$dir/points.tsv")" -eq 201 ] || fail "not 200 points"
awk -F'\t' 'NR > 1 && (NF != 6 || $2 != $2 + 0 || $3 != $3 + 0 || $6 == "") { exit 1 }' \
    "$dir/points.tsv" || fail "a line of points.tsv is not item, x, y, ratings, head, title"
awk -F'\t' 'NR > 1 { if (last != "" && $4 > last) exit 1; last = $4 }' "$dir/points.tsv" ||
    fail "items are not by ratings"
"$abtest" embed "$dir/m" --items 200 --iterations 60 --titles "$dir/data/movies.csv" --threads 1 \
    2>/dev/null | cmp - "$dir/points.tsv" || fail "threads change the points"
"$abtest" embed "$dir/m" --method pca >/dev/null 2>"$dir/err"
grep -q "of the variance" "$dir/err" || fail "PCA says nothing about variance"

"$abtest" embed "$dir/m" --projector "$dir/projector" --titles "$dir/data/movies.csv" >/dev/null
[ "$(wc -l <"$dir/projector/vectors.tsv")" -eq 300 ] || fail "not 300 vectors"
[ "$(wc -l <"$dir/projector/metadata.tsv")" -eq 301 ] || fail "metadata has not a header and 300"
awk -F'\t' 'NF != 6 { exit 1 }' "$dir/projector/vectors.tsv" || fail "a vector has not 6 columns"
awk -F'\t' 'NF != 5 { exit 1 }' "$dir/projector/metadata.tsv" || fail "metadata has not 5 columns"

status=0
"$abtest" embed "$dir/m" --method umap >/dev/null 2>"$dir/err" || status=$?
[ "$status" -eq 2 ] && grep -q "tsne and pca" "$dir/err" || fail "an unknown method"
if command -v gnuplot >/dev/null; then
    "$abtest" embed "$dir/m" --method pca --titles "$dir/data/movies.csv" --plot "$dir/p.svg" 2>/dev/null
    grep -q "80 % of the ratings" "$dir/p.svg" || fail "the picture marks nothing"
fi
echo ok
