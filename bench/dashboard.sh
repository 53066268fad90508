#!/usr/bin/env bash
# What open dashboards cost the server: requests per second of CPU for /v1/recommend, with none and
# with N dashboards open, in turn; of the serving thread's CPU (the path of a request), and of the
# whole process's, which counts the dashboards' own work too.
# usage: bench/dashboard.sh DIRECTORY [N=10] [ROUNDS=5] [SECONDS=4]: about 50 s
# DIRECTORY holds item-bias.ini with its models and data, as scripts/quickstart leaves it; the log
# goes to a directory of its own. Needs wrk and curl.
set -euo pipefail
directory=$(realpath "${1:?directory with item-bias.ini}")
n=${2:-10} rounds=${3:-5} seconds=${4:-4}
abtest=$(realpath "$(dirname "$0")/../build/release/bin/abtest")
work=$(mktemp -d)
server=''
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
cp "$directory"/{item-bias.ini,als.model,bpr.model,train.csv,movies.csv} "$work"/
cd "$work"
cat >users.lua <<'LUA'
local user = 0
request = function()
  user = user % 610 + 1
  return wrk.format("GET", "/v1/recommend?user=" .. user .. "&k=10")
end
LUA

ticks() { awk '{print $14 + $15}' "$1/stat"; }

# Prints requests per second of CPU time: the busiest thread's, which serves, and all threads'.
measure() {
    rm -rf logs
    coproc SERVER { exec "$abtest" serve item-bias.ini --port 0 --threads 1 2>/dev/null; }
    server=$SERVER_PID
    local url watchers=() before after thread requests
    read -r _ _ url <&"${SERVER[0]}"
    for ((i = 0; i < $1; i++)); do
        curl -sN "$url/v1/dashboard/stream" >/dev/null &
        watchers+=($!)
    done
    before=$(ticks "/proc/$server")
    requests=$(wrk -t 1 -c 32 -d "$seconds" -s users.lua "$url" | awk '/requests in/ {print $1}')
    after=$(ticks "/proc/$server")
    thread=$(for task in "/proc/$server/task"/*; do ticks "$task"; done | sort -n | tail -n 1)
    [ "${#watchers[@]}" -eq 0 ] || kill "${watchers[@]}"
    kill -TERM "$server"
    wait "$server" 2>/dev/null || true
    server=''
    awk -v r="$requests" -v thread="$thread" -v all="$((after - before))" -v hz="$(getconf CLK_TCK)" \
        'BEGIN {printf "%.0f %.0f\n", r / (thread / hz), r / (all / hz)}'
}

median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
for ((round = 0; round < rounds; round++)); do
    measure 0 | tee -a without
    measure "$n" | tee -a with
done 2>/dev/null | paste - - | sed 's/^/requests per CPU second of the serving thread and of all, without, with: /'
for column in 1 2; do
    a=$(cut -d ' ' -f $column without | median) b=$(cut -d ' ' -f $column with | median)
    awk -v a="$a" -v b="$b" -v n="$n" -v what="$([ $column = 1 ] && echo 'serving thread' || echo 'all threads')" \
        'BEGIN {printf "%s: median without %d, with %d dashboards %d: ratio %.3f\n", what, a, n, b, b / a}'
done
