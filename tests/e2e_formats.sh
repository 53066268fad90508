#!/usr/bin/env bash
# Ratings as CSV, TSV and .dat, plain, gzipped and as zstd: the same model from each; bad lines
# are named, or skipped and counted, in each; files that were cut off are refused.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh" "$1"
command -v zstd >/dev/null || skip "zstd"

small_ratings 0 | sed 's/$/,1260759144/; 1s/,1260759144$/,timestamp/' >r.csv
tr , '\t' <r.csv >r.tsv
sed '1d; s/,/::/g' r.csv >r.dat # MovieLens' .dat has no header
pack() { # pack FILE: beside it, compressed, gzip in two members
    zstd -q -f "$1" -o "$1.zst"
    { head -n 300 "$1" | gzip -c; tail -n +301 "$1" | gzip -c; } >"$1.gz"
}
train() { # train RATINGS MODEL [OPTION ...]
    "$abtest" train als --ratings "$1" --model "$2" --factors 4 --epochs 2 --quiet "${@:3}" \
        >out 2>err
}

train r.csv plain.model || fail "plain CSV"
for f in r.csv r.tsv r.dat; do
    pack $f
    for suffix in "" .gz .zst; do
        train $f$suffix m || fail "$f$suffix"
        cmp m plain.model || fail "$f$suffix gives another model"
    done
    cp $f.zst renamed.csv # known by its first bytes, not by its name
    train renamed.csv m || fail "a renamed $f.zst"
    cmp m plain.model || fail "a renamed $f.zst gives another model"
done

# A line in the middle that has no rating and one, later, that has too many fields.
for f in r.csv r.tsv r.dat; do
    separator=$(case $f in *.csv) echo , ;; *.tsv) printf '\t' ;; *) echo :: ;; esac)
    sed "200i 7${separator}good${separator}five${separator}1
500i 1${separator}2${separator}3${separator}4${separator}5" $f >bad.${f#r.}
    pack bad.${f#r.}
    for suffix in "" .gz .zst; do
        name=bad.${f#r.}$suffix
        rm -f m
        ! train "$name" m || fail "$name was taken"
        grep -q "$name:200: rating \"five\" is not a finite decimal number" err ||
            fail "$name: the bad line is not named"
        [ ! -e m ] || fail "$name: a model from bad ratings"
        train "$name" m --skip-bad || fail "$name: --skip-bad"
        grep -q "skipped 2 bad lines; the first: $name:200:" err || fail "$name: not counted"
        cmp m plain.model || fail "$name: skipping changes the model"
    done
done

for suffix in .gz .zst; do
    head -c -7 r.dat$suffix >cut.dat$suffix
    ! train cut.dat$suffix m --skip-bad || fail "a cut $suffix was taken"
    grep -q "cut.dat$suffix: byte [0-9]*: the compressed file is cut off" err ||
        fail "a cut $suffix is not named"
done

# What else reads ratings.
"$abtest" profile r.csv >p.csv 2>/dev/null || fail "profile"
"$abtest" profile r.dat.zst >p.dat 2>/dev/null || fail "profile of a .dat"
diff <(grep -v r.csv p.csv) <(grep -v r.dat p.dat) || fail "profile of a .dat says something else"
"$abtest" evaluate plain.model --ratings r.tsv.gz --test r.dat.zst >/dev/null 2>err ||
    fail "evaluate"
echo "formats: all passed"
