#!/usr/bin/env bash
# abtest replay: a log as it was served holds; another user's arms, changed ratings and a
# changed model do not go unnoticed.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"
mkdir home
small_ratings >ratings.csv
train als
train bpr
mv ratings.csv als.model bpr.model home/
{ models_and_metric; cat; } >home/exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
threads = 2
[log]
directory = logs
fsync = no
[data]
ratings = ratings.csv
[serving]
model = als
k = 5
[experiment which]
status = running
primary = satisfied
[arm which als]
weight = 0.5
[arm which bpr]
weight = 0.5
model = bpr
explore = 0.2
[experiment likeness]
status = running
primary = satisfied
[arm likeness plain]
weight = 0.5
[arm likeness diverse]
weight = 0.5
diversity = 0.3
INI
config=home/exp.ini start replay
"$build"/tests/crash_client "$port" r acknowledged 400 >/dev/null || fail "strange answers"
# Later pages of a list, of users in each arm and of one whom nobody knows.
for user in 2 3 4 5 6 7 8 9 nobody; do
    expect 200 '"' "$url/api/recommend/$user?n=3&offset=2"
done
stop

exits 0 "$abtest" replay home/logs --directory home/
says '^2[0-9]{2} exposures: 2[0-9]{2} lists made again, 0 not, 0 reported by clients; 0 different$'
exits 0 "$abtest" replay home/logs --directory home/ --json
says '"lists_unchecked":0,"different":0,"damaged":0}$'

"$build"/tests/forge_log home/logs forged 7
exits 3 "$abtest" replay forged --directory home/
says '^first difference: forged/[^ ]*\.jsonl:[0-9]+: user "7", '

small_ratings 1 >other.csv
mv home/ratings.csv ratings.csv
mv other.csv home/ratings.csv
exits 3 "$abtest" replay home/logs --directory home/
says '^first difference: .*, place [0-9]: the log says item '
mv ratings.csv home/ratings.csv

"$abtest" train als --ratings home/ratings.csv --model home/als.model --factors 3 --epochs 1 --quiet >/dev/null
exits 0 "$abtest" replay home/logs --directory home/
says '^first list not made again: the list was made by als:[0-9a-f]{16}, here is als:[0-9a-f]{16}$'
says '; 0 different$'

rm home/bpr.model
exits 0 "$abtest" replay home/logs --directory home/
says ' 0 lists made again, '
says '^first list not made again: .*bpr.model'

# A byte that no line holds, so that it does change one.
segment=$(ls -d home/logs/*.jsonl | head -1)
printf '\377' | dd of="$segment" bs=1 seek=$(($(stat -c %s "$segment") / 2)) conv=notrunc 2>/dev/null
exits 3 "$abtest" replay home/logs --directory home/
exits 3 "$abtest" logs verify home/logs
exits 1 "$abtest" replay nowhere
exits 2 "$abtest" replay
echo "replay holds a served log and names what differs"
