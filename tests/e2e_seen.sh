#!/usr/bin/env bash
# Who rated what, from the file beside the ratings: the same lists with it, without it, and after it
# was cut off, damaged, made of other ratings, or is something else. What changed is seen at once.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

"$abtest" synth data --users 3000 --items 400 --ratings 330000 --seed 4 >/dev/null
cp data/ratings.csv .
[ "$(wc -c <ratings.csv)" -gt $((4 << 20)) ] || fail "so few ratings are just read"
train als
touch -d '1 hour ago' ratings.csv
cat >exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
[log]
directory = logs
[data]
ratings = ratings.csv
[model als]
file = als.model
INI

# lists NAME: starts a server and keeps what it shows to thirty users in NAME.
lists() {
    rm -f err.seen
    start seen
    for user in $(seq 1 100 3000); do
        get "$url/v1/recommend?user=$user&k=20" | jq -c '[.user, .items]'
    done >"$1"
    stop
    [ "$(wc -l <"$1")" = 30 ] || fail "$1: not every user got a list"
}
inode() { stat -c %i ratings.csv.seen; }
body() { tail -c +257; } # behind the header, which says when the ratings were written
same() { # same NAME WHAT
    cmp -s first "$1" || fail "$2: other lists"
}

lists first
[ -s ratings.csv.seen ] || fail "no file was left beside the ratings"
cp ratings.csv.seen kept
before=$(inode)
lists mapped
same mapped "mapped"
[ "$(inode)" = "$before" ] || fail "a good file was written again"

rm ratings.csv.seen
lists again
same again "made again"
cmp -s <(body <kept) <(body <ratings.csv.seen) || fail "the same ratings give another body"

head -c $(($(wc -c <kept) / 2)) kept >ratings.csv.seen
lists cut
same cut "cut off"
says 'ratings.csv.seen: .*made again' err.seen
cmp -s <(body <kept) <(body <ratings.csv.seen) || fail "a file that was cut off was not made again"

# One byte of the body.
cp kept ratings.csv.seen
at=$(($(wc -c <kept) - 1000))
byte=$(od -An -tu1 -j "$at" -N 1 kept | tr -d ' ')
printf "\\$(printf %o $((byte ^ 1)))" | dd of=ratings.csv.seen bs=1 seek="$at" conv=notrunc status=none
lists damaged
same damaged "damaged"
says 'ratings.csv.seen: .*made again' err.seen

# Someone else's file stays.
echo "my notes" >ratings.csv.seen
lists foreign
same foreign "beside somebody's file"
says 'ratings.csv.seen: ' err.seen
[ "$(cat ratings.csv.seen)" = "my notes" ] || fail "somebody's file was written over"
rm ratings.csv.seen

mkdir ratings.csv.seen
lists directory
same directory "beside a directory"
rmdir ratings.csv.seen

# The first of the user's list is rated, in a line more: it is not shown again.
lists made
item=$(head -n 1 first | jq -r '.[1][0].item')
echo "1,$item,5" >>ratings.csv
lists changed
head -n 1 changed | jq -e --arg item "$item" '[.[1][].item] | index($item) == null' >/dev/null ||
    fail "what was rated since is shown"
cmp -s <(tail -n +2 first) <(tail -n +2 changed) || fail "other users' lists changed"
