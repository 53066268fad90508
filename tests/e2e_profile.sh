#!/usr/bin/env bash
# synth and profile as a user runs them, and what happens to pictures with and without
# gnuplot.
set -euo pipefail
abtest=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
expect_status() { # status command...
    local expected=$1 status=0
    shift
    "$@" >"$dir/out" 2>"$dir/err" || status=$?
    [ "$status" -eq "$expected" ] || fail "$* gave $status, not $expected: $(cat "$dir/err")"
}

expect_status 0 "$abtest" synth "$dir/data" --users 80 --items 500 --ratings 6000 --seed 3
[ "$(wc -l <"$dir/data/ratings.csv")" -eq 6001 ] || fail "ratings.csv has not 6000 ratings"
[ "$(wc -l <"$dir/data/movies.csv")" -eq 501 ] || fail "movies.csv has not 500 items"
expect_status 2 "$abtest" synth "$dir/data" --users 10 --items 10 --ratings 51
grep -q "between 10 (one a user) and 50" "$dir/err" || fail "the limit is not named"
expect_status 1 "$abtest" synth "$dir/data/ratings.csv"
grep -q "ratings.csv" "$dir/err" || fail "the path is not named"

expect_status 0 "$abtest" profile "$dir/data/ratings.csv" --json
jq -e '.ratings == 6000 and .users.n == 80 and .items.n == 500 and
       ([.distribution[].n] | add) == 6000 and .items.power_law.alpha > 1' "$dir/out" >/dev/null ||
    fail "profile --json: $(cat "$dir/out")"
expect_status 0 "$abtest" profile "$dir/data/ratings.csv"
grep -q "6000 ratings, 80 users, 500 items" "$dir/out" || fail "profile's first line"
expect_status 1 "$abtest" profile "$dir/none.csv"
expect_status 2 "$abtest" profile "$dir/data/ratings.csv" --plot "$dir/p.jpeg"
grep -q "must end in .svg, .png or .pdf" "$dir/err" || fail "the suffixes are not named"

PATH=/nonexistent expect_status 0 "$abtest" profile "$dir/data/ratings.csv" --plot "$dir/p.svg"
/usr/bin/grep -q "cannot run gnuplot" "$dir/err" || fail "missing gnuplot is not named"
/usr/bin/grep -qP '^User activity\tusers\t1\t' "$dir/out" || fail "no TSV without gnuplot"
[ ! -e "$dir/p.svg" ] || fail "a picture without gnuplot"

if command -v gnuplot >/dev/null; then
    for suffix in svg png pdf; do
        expect_status 0 "$abtest" profile "$dir/data/ratings.csv" --plot "$dir/p.$suffix"
        [ -s "$dir/p.$suffix" ] || fail "p.$suffix is empty"
        [ ! -s "$dir/err" ] || fail "gnuplot said: $(cat "$dir/err")"
    done
    grep -q "User activity" "$dir/p.svg" || fail "the SVG has no title"
    head -c 4 "$dir/p.pdf" | grep -q "%PDF" || fail "p.pdf is no PDF"
    expect_status 0 "$abtest" profile "$dir/data/ratings.csv" --plot -
    grep -q "rank of the item" "$dir/out" || fail "no picture on the terminal"
    expect_status 1 "$abtest" profile "$dir/data/ratings.csv" --plot "$dir/none/p.svg"
    [ -z "$(ls "$dir" | grep part)" ] || fail "a part was left behind"
fi
echo "ok"
