#!/usr/bin/env bash
# What open dashboards cost the server: requests per second of server CPU for /v1/recommend, with
# none and with N dashboards open, in turn.
# usage: bench/dashboard.sh DIRECTORY [N=10] [ROUNDS=4] [SECONDS=5]
# DIRECTORY holds item-bias.ini with its models and data, as scripts/quickstart leaves it; the log
# goes to a directory of its own. Needs wrk and curl.
set -euo pipefail
directory=$(realpath "${1:?directory with item-bias.ini}")
n=${2:-10} rounds=${3:-4} seconds=${4:-5}
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

# Prints requests per second of the server's CPU time (all its threads).
measure() {
    rm -rf logs
    coproc SERVER { exec "$abtest" serve item-bias.ini --port 0 --threads 1 2>/dev/null; }
    server=$SERVER_PID
    local url watchers=() before after requests
    read -r _ _ url <&"${SERVER[0]}"
    for ((i = 0; i < $1; i++)); do
        curl -sN "$url/v1/dashboard/stream" >/dev/null &
        watchers+=($!)
    done
    before=$(awk '{print $14 + $15}' "/proc/$server/stat")
    requests=$(wrk -t 1 -c 32 -d "$seconds" -s users.lua "$url" | awk '/requests in/ {print $1}')
    after=$(awk '{print $14 + $15}' "/proc/$server/stat")
    [ "${#watchers[@]}" -eq 0 ] || kill "${watchers[@]}"
    kill -TERM "$server"
    wait "$server" 2>/dev/null || true
    server=''
    awk -v r="$requests" -v t="$((after - before))" -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.0f\n", r / (t / hz)}'
}

median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
for ((round = 0; round < rounds; round++)); do
    measure 0 | tee -a without
    measure "$n" | tee -a with
done 2>/dev/null | paste - - | sed 's/^/requests per CPU second, without and with: /'
a=$(median <without) b=$(median <with)
awk -v a="$a" -v b="$b" -v n="$n" 'BEGIN {printf "median without %d, with %d dashboards %d: ratio %.3f\n", a, n, b, b / a}'
