#!/usr/bin/env bash
# synth and profile as a user runs them, and what happens to pictures with and without
# gnuplot.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

exits 0 "$abtest" synth data --users 80 --items 500 --ratings 6000 --seed 3
[ "$(wc -l <data/ratings.csv)" -eq 6001 ] || fail "ratings.csv has not 6000 ratings"
[ "$(wc -l <data/movies.csv)" -eq 501 ] || fail "movies.csv has not 500 items"
exits 2 "$abtest" synth data --users 10 --items 10 --ratings 51
grep -q "between 10 (one a user) and 50" err || fail "the limit is not named"
exits 1 "$abtest" synth data/ratings.csv
grep -q "ratings.csv" err || fail "the path is not named"

exits 0 "$abtest" profile data/ratings.csv --json
jq -e '.ratings == 6000 and .users.n == 80 and .items.n == 500 and
       ([.distribution[].n] | add) == 6000 and .items.power_law.alpha > 1' out >/dev/null ||
    fail "profile --json: $(cat out)"
exits 0 "$abtest" profile data/ratings.csv
grep -q "6000 ratings, 80 users, 500 items" out || fail "profile's first line"
exits 1 "$abtest" profile none.csv
exits 2 "$abtest" profile data/ratings.csv --plot p.jpeg
grep -q "must end in .svg, .png or .pdf" err || fail "the suffixes are not named"

PATH=/nonexistent exits 0 "$abtest" profile data/ratings.csv --plot p.svg
/usr/bin/grep -q "cannot run gnuplot" err || fail "missing gnuplot is not named"
/usr/bin/grep -qP '^User activity\tusers\t1\t' out || fail "no TSV without gnuplot"
[ ! -e p.svg ] || fail "a picture without gnuplot"

if command -v gnuplot >/dev/null; then
    for suffix in svg png pdf; do
        exits 0 "$abtest" profile data/ratings.csv --plot "p.$suffix"
        [ -s "p.$suffix" ] || fail "p.$suffix is empty"
        [ ! -s err ] || fail "gnuplot said: $(cat err)"
    done
    grep -q "User activity" p.svg || fail "the SVG has no title"
    head -c 4 p.pdf | grep -q "%PDF" || fail "p.pdf is no PDF"
    exits 0 "$abtest" profile data/ratings.csv --plot -
    grep -q "rank of the item" out || fail "no picture on the terminal"
    exits 1 "$abtest" profile data/ratings.csv --plot none/p.svg
    [ -z "$(ls | grep part)" ] || fail "a part was left behind"
fi
echo "ok"
