#!/usr/bin/env bash
# Segments by activity: new and known users, and thirds of what was done before the first exposure. The
# groups and their means are computed again by jq, straight from the lines of the log.
. "$(dirname "$0")/lib.sh" "$1"
config_of() { # config_of EXPERIMENT KIND EVENT
    cat <<INI
[model als]
file = als.model
[metric done]
kind = $2
event = $3
direction = up
[experiment $1]
status = running
primary = done
[arm $1 control]
weight = 0.5
[arm $1 treatment]
weight = 0.5
INI
}
# make KIND EVENT: 200 users in one experiment; four days later they and 100 new ones in another.
make() {
    rm -rf log later
    config_of early "$1" "$2" >early.ini
    config_of late "$1" "$2" >late.ini
    exits 0 "$abtest" simulate early.ini --to-log log --rates control=0.4,treatment=0.6 --users 200 --visits 5 \
        --days 3 --seed 1
    exits 0 "$abtest" simulate late.ini --to-log later --rates control=0.4,treatment=0.6 --users 300 --visits 4 \
        --days 3 --start 1767571200 --seed 2
    cp later/*.jsonl log/
    cat log/*.jsonl >lines
    exits 0 "$abtest" analyze log --experiment late --json
    jq -c '.experiments[0].segments[] | {name, groups: [.groups[] | {group,
        n: [.arms[].n], value: [.arms[].value | . * 1e6 | round]}]}' out >got
}
# What happened to each user: arm, sum before its first exposure to "late", and from then on.
users='[inputs | select(.type != "config")] | group_by(.user)[]
    | (map(select(.assignments.late)) | sort_by(.ts)) as $late | select($late | length > 0) | $late[0] as $first
    | {arm: $first.assignments.late[0],
       before: (map(select(.ts < $first.ts) | VALUE) | add // 0),
       after: (map(select(.ts >= $first.ts) | VALUE) | add // 0)}'
# groups_of JQ-OF-A-USER: {group, n, value} of each group, in order.
groups_of() {
    jq -c --slurp "map(. + {group: ($1)}) | group_by(.group[0]) | map({group: .[0].group[1],
        n: [(map(select(.arm == \"control\")) | length), (map(select(.arm == \"treatment\")) | length)],
        value: [(map(select(.arm == \"control\").after) | add / length * 1e6 | round),
                (map(select(.arm == \"treatment\").after) | add / length * 1e6 | round)]})" users
}
holds() { # holds SEGMENT EXPECTED-GROUPS
    local got
    got=$(jq -c --arg name "$1" 'select(.name == $name) | .groups' got)
    [ "$got" = "$2" ] || fail "$1: $got, not $2"
}

make mean exposure.latency_us
jq -c -n "${users//VALUE/.latency_us // 0}" lines >users
[ "$(wc -l <users)" -eq 300 ] || fail "$(wc -l <users) users, not 300"
holds "activity before the first exposure" \
    "$(groups_of 'if .before == 0 then [0, "none (new)"] else [1, "some (known)"] end')"
# Cuts where a third and two thirds of those with some lie below: of 200 the 67th and the 134th.
cuts=$(jq -c --slurp 'map(.before | select(. > 0)) | sort | [.[length / 3 | floor], .[length * 2 / 3 | floor]]' users)
holds "done before the first exposure, thirds" "$(groups_of "$cuts as [\$a, \$b]
    | if .before == 0 then [0, \"none\"] elif .before < \$a then [1, \"below \\(\$a)\"]
      elif .before < \$b then [2, \"\\(\$a) to below \\(\$b)\"] else [3, \"\\(\$b) or above\"] end")"
jq -e --slurp 'map(select(.name | test("thirds"))) | .[0].groups | map(.n | add) == [100, 66, 67, 67]' got >out ||
    fail "thirds of 200: $(cat got)"

# Everybody known did it five times: there is nothing to part them by.
make count exposure
jq -c -n "${users//VALUE/(if .type == \"exposure\" then 1 else 0 end)}" lines >users
holds "activity before the first exposure" \
    "$(groups_of 'if .before == 0 then [0, "none (new)"] else [1, "some (known)"] end')"
holds "done before the first exposure, thirds" \
    "$(groups_of 'if .before == 0 then [0, "none"] else [1, "any"] end')"
