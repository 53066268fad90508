#!/usr/bin/env bash
# --plot of every command that has it: a file of each kind, the terminal, and without gnuplot
# the data as TSV. usage: tests/e2e_plot.sh PATH/TO/abtest
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

example=$here/../examples/item-bias.ini

"$abtest" synth data --users 60 --items 240 --ratings 4000 --seed 4 >/dev/null
train=(--ratings data/ratings.csv --test-fraction 0.1 --quiet --model)
"$abtest" train als "${train[@]}" als.model --epochs 3 --history als.tsv >/dev/null
"$abtest" train bpr "${train[@]}" bpr.model --epochs 3 --history bpr.tsv >/dev/null
"$abtest" simulate "$example" --to-log logs --users 800 --seed 7 \
    --rates control=0.45,treatment=0.72 >/dev/null 2>&1

# Every command with --plot, each with what its picture's TSV must hold.
commands=(
    'profile data/ratings.csv|^User activity\tusers\t1\t'
    'history als.tsv bpr.tsv|^RMSE\tals, test\t3\t'
    'inspect als.model|^User biases, ranked\t'
    'embed als.model --method pca --titles data/movies.csv|^Items, the most rated ones marked\t'
    'power --baseline 0.1 --effect 0.02|^Power against sample size\teffect \+2 points\t'
    'power --metric mean --sd 12 --units 5000|^Smallest effect that is detected\tpower 0.8\t'
    'analyze logs|^item-bias: satisfied over time, treatment against control\tdifference\t'
)
for name in $("$abtest" --help | awk '/^  [a-z-]+ /{print $1}'); do
    "$abtest" "$name" --help >help
    if grep -q -- '--plot' help; then echo "$name"; fi
done >listed
listed=$(sort -u listed | paste -sd ' ')
tested=$(printf '%s\n' "${commands[@]}" | awk '{print $1}' | sort -u | paste -sd ' ')
[ "$listed" = "$tested" ] || fail "commands with --plot: $listed; tested here: $tested"

mkdir empty # no gnuplot in it
for entry in "${commands[@]}"; do
    read -ra command <<<"${entry%%|*}"
    PATH=empty exits 0 "$abtest" "${command[@]}" --plot picture.svg
    grep -q "^abtest ${command[0]}: cannot run gnuplot: .*apt-get install gnuplot" err ||
        fail "${command[*]}: a missing gnuplot is not named: $(cat err)"
    [ ! -e picture.svg ] || fail "${command[*]}: a picture without gnuplot"
    grep -q $'^panel\tseries\tx\ty\tlow\thigh\tlabel$' out || fail "${command[*]}: no TSV"
    grep -qP "${entry#*|}" out || fail "${command[*]}: not in the TSV: ${entry#*|}"
    exits 2 "$abtest" "${command[@]}" --plot picture.jpeg
    grep -q 'must end in .svg, .png or .pdf' err || fail "${command[*]}: the suffix is not explained"
done

# What programs read stays what it was: the TSV goes elsewhere, and nothing draws into it.
for entry in 'profile data/ratings.csv' 'power --baseline 0.1 --effect 0.02' 'analyze logs'; do
    read -ra command <<<"$entry"
    PATH=empty exits 0 "$abtest" "${command[@]}" --json --plot picture.svg
    jq -e . out >/dev/null || fail "${command[*]} --json without gnuplot is not JSON"
    grep -q $'^panel\tseries' err || fail "${command[*]} --json without gnuplot: no TSV"
    exits 2 "$abtest" "${command[@]}" --json --plot -
done

# One part of a picture.
PATH=empty exits 0 "$abtest" analyze logs --plot - --panel 2
[ "$(grep '^item-bias' out | cut -f1 | sort -u)" = 'item-bias: satisfied over time, treatment against control' ] ||
    fail '--panel 2 holds another part'
exits 2 "$abtest" analyze logs --plot p.svg --panel 3
grep -q 'the picture has 2 parts' err || fail "too high a panel: $(cat err)"
exits 2 "$abtest" analyze logs --panel 1

# The forest in numbers: one row a metric, within its interval; the series ends at the report's.
PATH=empty exits 0 "$abtest" analyze logs --plot -
awk -F'\t' '/all metrics against/ { n++; if (!($5 <= $3 && $3 <= $6)) exit 1 } END { exit n != 2 }' out ||
    fail "the forest: $(grep 'all metrics' out)"
"$abtest" analyze logs --json >report.json
jq -r '.experiments[0].metrics[0].contrasts[0].series[-1] |
    [.effect_size, .ci_lower, .ci_upper] | map(. * 100 | . * 1e6 | round) | @tsv' report.json >want
awk -F'\t' '/over time/ && $2 == "difference" { last = $4 "\t" $5 "\t" $6 }
    END { split(last, v); printf "%.0f\t%.0f\t%.0f\n", v[1] * 1e6, v[2] * 1e6, v[3] * 1e6 }' out >got
cmp -s want got || fail "the series ends at $(cat got), the report's at $(cat want)"

command -v gnuplot >/dev/null || { echo 'e2e_plot: no gnuplot, its pictures are not tested' && exit 0; }
for entry in "${commands[@]}"; do
    read -ra command <<<"${entry%%|*}"
    for suffix in svg png pdf; do
        rm -f "picture.$suffix"
        exits 0 "$abtest" "${command[@]}" --plot "picture.$suffix"
        [ -s "picture.$suffix" ] || fail "${command[*]}: no $suffix"
        ! grep -q 'gnuplot\|line [0-9]' err || fail "${command[*]}: gnuplot said: $(cat err)"
    done
    grep -q '<svg' picture.svg && ! grep -qiE 'nan|inf,' <(grep -o 'd="[^"]*"' picture.svg) ||
        fail "${command[*]}: a broken SVG"
    [ "$(head -c 8 picture.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] ||
        fail "${command[*]}: not a PNG"
    [ "$(head -c 5 picture.pdf)" = %PDF- ] || fail "${command[*]}: not a PDF"
    [ ! -e picture.svg.part ] || fail "${command[*]}: a half-written file stays"
    exits 0 "$abtest" "${command[@]}" --plot -
    grep -q '+-------' out || fail "${command[*]}: nothing drawn on the terminal"
    ! awk 'length > 200' out | grep -q $'\t' || fail "${command[*]}: data on the terminal"
    ! grep -q $'\033' out || fail "${command[*]}: colours into a pipe"
done
exits 0 "$abtest" analyze logs --plot picture.svg
for words in 'all metrics against control' 'satisfied over time' 'valid at every look' 'better'; do
    grep -q "$words" picture.svg || fail "\"$words\" is not in the picture of analyze"
done
exits 1 "$abtest" power --baseline 0.1 --effect 0.02 --plot none/p.svg

# A log without two arms in it has nothing to draw, and says so.
"$abtest" simulate "$example" --to-log alone --users 1 --rates control=0.4,treatment=0.6 --seed 7 >/dev/null 2>&1
exits 1 "$abtest" analyze alone --plot p.svg
grep -q 'nothing to draw' err || fail "nothing to draw is not said: $(cat err)"
echo ok
