#!/usr/bin/env bash
# CUPAC from end to end: a model is trained, served, its log analyzed with what the model expects of
# each user as the covariate. The adjusted effect, its standard error and the variance saved are held to
# tests/cupac.py, which works from the log's events and the scores that abtest recommend prints.
here=$(realpath "$(dirname "$0")")
. "$(dirname "$0")/lib.sh" "$1"
python3 "$here/cupac.py" ratings >ratings.csv
"$abtest" train als --ratings ratings.csv --model als.model --factors 2 --epochs 5 --quiet >/dev/null ||
    fail "train"
cat >exp.ini <<'INI'
[server]
listen = 127.0.0.1:0
[log]
directory = logs
fsync = no
[model als]
file = als.model
[metric minutes]
kind = mean
event = minutes
direction = up
[experiment bias]
status = running
primary = minutes
[arm bias control]
weight = 0.5
[arm bias treatment]
weight = 0.5
item_bias = 0
INI
for user in $(seq 1 120); do
    "$abtest" recommend als.model --user "$user" -k 1000 --json >>scores.json || fail "recommend $user"
done
python3 "$here/cupac.py" events scores.json || fail "events"
start serve
# The arm is what the server gives each user, and what it shows is the exposure.
for user in $(seq 1 120); do
    get "$url/v1/recommend?user=$user" >/dev/null
done
expect 200 accepted -d @feedback.json "$url/v1/feedback"
stop
"$abtest" logs cat logs >events.jsonl || fail "logs cat"
"$abtest" analyze logs --cupac als.model --json >report.json || true
python3 "$here/cupac.py" check scores.json events.jsonl report.json || fail "the report says something else"
"$abtest" analyze logs --cupac als.model >report.txt || true
grep -q "variance reduced by .* with .*CUPAC" report.txt || fail "the report does not say what was saved"
