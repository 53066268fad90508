#!/usr/bin/env bash
# abtest analyze as a user meets it: verdicts, exit statuses, formats, the same bytes for
# the same events.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

analyze() { # analyze STATUS ARGUMENTS...
    local wanted=$1
    shift
    exits "$wanted" "$abtest" analyze "$@"
}
has() { grep -qF -- "$1" out || fail "\"$1\" is not in the report: $(cat out)"; }

cat >trial.ini <<'INI'
[model als]
file = als.model
[metric satisfied]
kind = proportion
event = satisfied
window = 30d
direction = up
[metric latency]
kind = quantile 0.5
event = exposure.latency_us
direction = down
margin = 0.5
[experiment bias]
status = running
primary = satisfied
guardrails = latency
[arm bias control]
weight = 0.5
[arm bias treatment]
weight = 0.5
INI
trial() { # trial DIRECTORY RATES USERS
    "$abtest" simulate trial.ini --to-log "$1" --rates "$2" --users "$3" --seed 7 >/dev/null 2>&1 ||
        fail "simulate --to-log $1"
}

trial wins control=0.45,treatment=0.72 800
analyze 0 wins
has "SHIP"
has "treatment wins over control on satisfied"
has "Newcombe hybrid score"
has "guardrail latency holds"
analyze 0 wins --gate

# The report does not depend on threads, on the order of lines or on copies of them; only
# the section on the evidence tells how the events came.
analyze 0 wins --json --threads 1
cp out one.json
analyze 0 wins --json --threads 3
cmp -s out one.json || fail "other threads, other bytes"
mkdir shuffled
cat wins/*.jsonl wins/*.jsonl | sort -R --random-source=trial.ini >lines
head -n 900 lines >shuffled/0a1b2c3d-20260101T000000-1.jsonl
tail -n +901 lines >shuffled/0a1b2c3d-20260101T000000-2.jsonl
printf '{"type":"feedback","ts":17' >>shuffled/0a1b2c3d-20260101T000000-2.jsonl
analyze 0 shuffled --json
sed '/"evidence"/,$d' one.json >one.findings
sed '/"evidence"/,$d' out >shuffled.findings
cmp -s one.findings shuffled.findings || { diff one.findings shuffled.findings | head; fail "shuffled, doubled, torn: other bytes"; }
[ "$(grep fingerprint one.json)" = "$(grep fingerprint out)" ] || fail "another fingerprint"

trial loses control=0.72,treatment=0.45 800
analyze 0 loses
has "ROLL BACK"
analyze 4 loses --gate

trial same control=0.5,treatment=0.5 800
analyze 0 same --gate --aa 200
has "KEEP RUNNING"
has "more day"
has "A/A self-check"

# A changed byte: the rest is read, the verdict withheld.
cp -r wins damaged
file=$(ls damaged/*.jsonl | head -n 1)
printf 'X' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc status=none
analyze 3 damaged
has "DO NOT TRUST"
has "damage: $(basename "$file")"

# Half of one arm's lines lost: the shares are wrong.
cp -r wins lost
for file in lost/*.jsonl; do
    awk '!/"treatment"/ || (n++ % 2)' "$file" >kept && mv kept "$file"
done
analyze 3 lost
has "sample ratio"
has "DO NOT TRUST"

for format in text json csv markdown html; do
    analyze 0 wins --format "$format" -o "report.$format"
    [ -s "report.$format" ] || fail "no report.$format"
    grep -qiE '(^|[^a-z])-?nan([^a-z]|$)' "report.$format" && fail "nan in report.$format"
done
[ "$(stat -c %s report.html)" -lt 1000000 ] || fail "report.html is not under 1 MB"
# Every method that a number names is defined at the end, with its source, and linked to.
jq -r '[.. | objects | (.method?, .test?, .interval?, .rel_interval?, .correction?) | strings] | unique[]' \
    report.json | grep -v '^none' >methods.txt
grep -o '<dt id="method-[0-9]*">[^<]*</dt><dd>[^<]* <a href="https://' report.html | sed 's/^[^>]*>//; s/<.*//' >defined.txt
[ "$(wc -l <methods.txt)" -ge 8 ] || fail "few methods: $(cat methods.txt)"
while read -r method; do
    while read -r start; do
        case $method in "$start"*) continue 2 ;; esac
    done <defined.txt
    fail "no definition of \"$method\" in report.html"
done <methods.txt
for link in $(grep -o 'href="#[^"]*"' report.html | sed 's/.*#\(.*\)"/\1/' | sort -u); do
    grep -q "id=\"$link\"" report.html || fail "report.html links to #$link, which is not there"
done
grep -q '<a href="#method-[0-9]*">two-proportion z-test, pooled variance, two-sided</a>' report.html ||
    fail "the test has no link to its definition"
grep -q '<script' report.html && fail "report.html has a script"
grep -qE '(src|href)="(http:|//|file:)' report.html && fail "report.html loads something"

printf 'user,age,plan\n' >users.csv
for user in $(seq 1 800); do echo "$user,$((user % 50)),$([ $((user % 3)) = 0 ] && echo paid || echo free)"; done >>users.csv
analyze 0 wins --covariates users.csv
has "CUPED"
has "Segment plan"
printf 'user,age\n1,2,3\n' >bad.csv
analyze 1 wins --covariates bad.csv
grep -q 'bad.csv:2: 3 cells' err || fail "a bad covariates file is not explained"
printf 'user,age\n1,2\n7,3\n1,4\n' >bad.csv
analyze 1 wins --covariates bad.csv
grep -q 'bad.csv:4: a second line for user 1' err || fail "two lines for one user"
printf 'plan,age\nfree,2\npaid,3\n' >bad.csv
analyze 1 wins --covariates bad.csv
grep -q 'none of its users was exposed; is "plan" the column of users' err || fail "a file without any user"

# Groups that no unit is in are left out: words of users who never came, arms that nobody has.
sed 's/,paid$/,free/' users.csv >one.csv
for i in $(seq 1 70); do echo "never-came-$i,1,plan-$i"; done >>one.csv
analyze 0 wins --covariates one.csv
! grep -q 'Segment plan' out || fail "a segment of one group"
for i in $(seq 1 70); do echo "never-came-$i,1,plan-$i"; done | cat users.csv - >many.csv
analyze 0 wins --covariates many.csv --json
[ "$(jq -c '.experiments[0].segments[] | select(.name == "plan") | [.groups[].group]' out)" = '["free","paid"]' ] ||
    fail "groups of users who never came"
{ cat trial.ini && printf '[experiment other]\nstatus = running\nprimary = satisfied\n'
    printf '[arm other %s]\nweight = %s\n' a 0.4999 b 0.4999 c 0.0002; } >two.ini
exits 0 "$abtest" simulate two.ini --experiment bias --to-log two --users 60 --rates control=0.4,treatment=0.6 --seed 1
analyze 0 two --json
[ "$(jq -c '[.experiments[].segments[]? | select(.name == "arm of other") | .groups[].group]' out)" = '["a","b"]' ] ||
    fail "an arm that nobody has is a group"

printf 'arm,metric,units,sum\ncontrol,satisfied,294,132\ntreatment,satisfied,316,226\n' >sums.csv
analyze 0 --summary sums.csv
has "z = 6.672140, p = 2.521e-11"
# Means and ratios from sums: R 4.2.2's t.test (Welch) on the 57 and 71 values that these are the sums of, and
# for the ratio var(x - R y) / n / mean(y)^2 an arm with Satterthwaite's degrees of freedom, in R too.
cat >means.csv <<'CSV'
arm,metric,kind,units,sum,sum_squares,denominator,denominator_squares,product
control,minutes,mean,57,243.932,2299.27066,,,
treatment,minutes,mean,71,442.564,4792.668016,,,
control,rate,ratio,57,76,156,246,1412,408
treatment,rate,ratio,71,152,520,368,2412,1020
CSV
"$abtest" analyze --summary means.csv --json >means.json || fail "--summary of means"
jq -e 'def near($a; $b): ($a - $b | fabs) <= 1e-9 * ($b | fabs);
    [.experiments[0].metrics[].contrasts[0].fixed] as [$mean, $ratio]
    | near($mean.statistic; 2.18093207537687) and near($mean.df; 124.947747948198) and near($mean.p_value; 0.0310611427980254)
    and near($mean.ci_lower; 0.1807823272713958) and near($mean.ci_upper; 3.7267916781647288)
    and near($ratio.effect_size; 0.104100388829975) and near($ratio.standard_error; 0.0362796187361125)
    and near($ratio.statistic; 2.86939037554864) and near($ratio.df; 124.750108008381) and near($ratio.p_value; 0.00483171592109181)
    and near($ratio.ci_lower; 0.0322971149353861) and near($ratio.ci_upper; 0.175903662724564)' means.json >/dev/null ||
    fail "sums of means and ratios: not what R says: $(jq -c '[.experiments[0].metrics[].contrasts[0].fixed]' means.json)"
# Judged by a config, sums say what the log says that they were counted from.
cat >rule.ini <<'INI'
[model als]
file = als.model
[metric satisfied]
kind = proportion
event = satisfied
window = 30d
direction = up
[metric also]
kind = proportion
event = satisfied
direction = up
margin = 0.1
[metric latency]
kind = quantile 0.5
event = exposure.latency_us
[experiment bias]
status = running
primary = satisfied
guardrails = also
alpha = 0.01
planned_units = 1000
minimum_effect = 0.1
[arm bias control]
weight = 0.4
[arm bias treatment]
weight = 0.6
INI
exits 0 "$abtest" simulate rule.ini --to-log ruled --rates control=0.45,treatment=0.72 --users 800 --seed 7
analyze 0 ruled --json
cp out ruled.json
jq -r '.experiments[0] | "arm,metric,units,sum", (.metrics[] | select(.kind == "proportion") | .name as $m | .arms[]
    | "\(.arm),\($m),\(.n),\(.successes)")' ruled.json >ruled.csv
said='.experiments[0] | {verdict, headline, winner, alpha, planned_units, units_needed, arms: [.arms[] | {name, weight, units}],
    srm: (.checks[0] | [.name, .status, (.p_value * 1e9 | round)]), metrics: [.metrics[:2][].contrasts[] | {fixed, always_valid, guardrail, decided_by,
    p: .corrected.p_value, always: .corrected.always_valid_p_value}]}'
analyze 0 --summary ruled.csv --config rule.ini --json
diff <(jq "$said" ruled.json) <(jq "$said" out) || fail "sums by a config say something else than the log"
[ "$(jq -r '.experiments[0] | "\(.verdict) \(.metrics[1].contrasts[0].guardrail.state) \(.days_needed)"' out)" = 'keep running holds null' ] ||
    fail "a planned size that is not reached ships"
sed 's/^planned_units.*/planned_units = 700/' rule.ini >reached.ini
analyze 0 --summary ruled.csv --config reached.ini
has "SHIP"
sed 's/^guardrails.*/guardrails = also, latency/; s/^event = exposure.latency_us/&\ndirection = down/' reached.ini >more.ini
analyze 0 --summary ruled.csv --config more.ini
has "guardrail latency unclear"
has "KEEP RUNNING"
complains() { # complains WHAT FILE [OPTION ...]: on standard error
    analyze 1 --summary "${@:2}"
    grep -qF -- "$1" err || fail "\"$1\" is not said: $(cat err)"
}
sed '1s/$/,weight/; 2,$s/$/,0.5/' ruled.csv >bad.csv
complains 'bad.csv:1: column "weight" (the config says that' bad.csv --config rule.ini
sed 's/^treatment/elsewhere/' ruled.csv >bad.csv
complains 'arm "elsewhere" (the config has none of that name)' bad.csv --config rule.ini
sed 's/also/latency/' ruled.csv >bad.csv
complains 'do not follow from sums' bad.csv --config rule.ini
complains 'no line of experiment "other"' sums.csv --experiment other
printf 'arm,metric,units,sum,weight\na,s,10,5,0.5\nb,s,10,5,0.5\na,t,10,5,0.4\n' >bad.csv
complains "another than on the arm's first line" bad.csv
printf 'arm,metric,units,sum,kind\na,s,10,5,proportion\nb,s,10,5,count\n' >bad.csv
complains 'is another than on its first line' bad.csv
analyze 2 wins --config rule.ini
# What is too small for a double is said by its logarithm, or as a bound: never as an infinity.
printf 'arm,metric,units,sum\ncontrol,satisfied,400000,132000\ntreatment,satisfied,400000,226000\n' >gross.csv
for format in text html markdown csv json; do
    "$abtest" analyze --summary gross.csv --format $format >gross.out || fail "--summary --format $format"
    ! grep -qiE '10\^-inf|[^a-z](nan|inf)[^a-z]' gross.out || fail "$format: $(grep -oiE '.{30}(10\^-inf|[^a-z](nan|inf)[^a-z]).{9}' gross.out)"
done
"$abtest" analyze --summary sums.csv --json >summary.json || fail "--summary --json"
"$abtest" analyze wins --json --lists --aa 50 --covariates users.csv >all.json || fail "all at once"
for log in same loses damaged lost; do "$abtest" analyze "$log" --json >"$log.json" || true; done
python3 "$here/check_schema.py" "$here/../docs/report.schema.json" ./*.json || fail "a report breaks its schema"
printf 'arm,metric,units,sum\ncontrol,satisfied,294,500\n' >sums.csv
analyze 1 --summary sums.csv
grep -q 'sums.csv:2: sum "500"' err || fail "a bad sum is not explained"

analyze 2
analyze 2 wins --format xml
analyze 1 nowhere
analyze 1 wins --experiment other
