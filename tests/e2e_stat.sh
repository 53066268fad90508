#!/usr/bin/env bash
# Runs every example of docs/stat.md through `abtest stat` and holds the answers against
# the documented ones: text exactly, numbers to the digits shown. Then the contract of
# the stream: order, ids, errors on their line, exit status. Then `abtest power`.
# Where the documented answers were checked against R, scipy or statsmodels stands in the
# unit test of each statistic (heterogeneity, uniformity, trend: test_trust_statistics.c);
# those of "lists" are numpy's and scipy 1.10.1's, written out
# from the definitions, with the units' groups by python3-xxhash.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"

doc=$here/../docs/stat.md

awk -v problems=problems -v answers=expected '
    /^```json$/ { line = 1; next }
    /^```$/ { line = 0; next }
    line == 1 { print > problems; line = 2; next }
    line == 2 { print > answers; line = 3 }' "$doc"
n=$(wc -l < problems)
[ "$n" -ge 40 ] || fail "only $n examples found in $doc"

status=0
"$abtest" stat < problems > answers || status=$?
[ "$status" -eq 1 ] || fail "exit status $status with bad problems among them, not 1"
[ "$(wc -l < answers)" -eq "$n" ] || fail "answers and problems differ in number"

# Cuts a line into numbers and what stands between them.
awk -v expected=expected '
    function pieces(text, list,    n) {
        n = 0
        while (match(text, /-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?/)) {
            list[++n] = substr(text, 1, RSTART - 1)
            list[++n] = substr(text, RSTART, RLENGTH)
            text = substr(text, RSTART + RLENGTH)
        }
        list[++n] = text
        return n
    }
    {
        if ((getline wanted < expected) <= 0) { print "no expected answer"; exit 1 }
        delete got_list; delete wanted_list
        n = pieces($0, got_list); m = pieces(wanted, wanted_list)
        bad = n != m
        for (i = 1; i <= n && !bad; i++) {
            if (i % 2) { bad = got_list[i] != wanted_list[i] }
            else {
                gap = got_list[i] - wanted_list[i]; size = wanted_list[i] + 0
                if (gap < 0) { gap = -gap }
                if (size < 0) { size = -size }
                bad = gap > 1e-7 * size + 1e-12
            }
        }
        if (bad) { print "line " NR ":\n  got    " $0 "\n  wanted " wanted; failed = 1 }
    }
    END { exit failed }' answers || fail "an answer is not as documented"

for test in $(grep -o '^### [a-z-]*' "$doc" | cut -c5-); do
    grep -q "\"test\":\"$test\"" problems || fail "$test has no example"
done

# Only good problems: exit 0; blank lines are not problems.
printf '\n%s\n\n' '{"test":"tail","statistic":2,"id":[1,"a"]}' | "$abtest" stat > one ||
    fail "a good problem made the exit status $?"
grep -q '^{"id":\[1,"a"\],"test":"tail","method":"normal tail",' one ||
    fail "the id did not come back: $(cat one)"

# Nothing that a line holds may break the stream.
bad=0
for problem in 'null' '[]' '{' '{}' '{"test":7}' '{"test":"means"}' '"\ud800"' \
    '{"test":"proportions","control":[1.5,3],"treatment":[1,3]}' \
    '{"test":"proportions","control":[1e300,1e300],"treatment":[1,3]}' \
    '{"test":"proportions","control":[1,3],"treatment":[1,3],"level":1}' \
    '{"test":"proportions","control":[1,3],"treatment":[1,3],"level":0.9,"level":0.8}' \
    '{"test":"means","control":[1,2,"3"],"treatment":[1]}' \
    '{"test":"group-sequential","fractions":[0.5,0.5]}' \
    '{"test":"power","baseline":0.1}' \
    '{"test":"uniformity","p_values":[0.5,1.5]}' \
    '{"test":"heterogeneity","groups":[{"effect":1,"standard_error":1}]}' \
    '{"test":"heterogeneity","groups":[{"effect":1},{}]}' \
    '{"test":"trend","control":[[0,1]],"treatment":[[0,1,1]]}' \
    '{"test":"trend","control":[[0,2]],"treatment":[[0,1]]}' \
    '{"test":"poststratification","strata":[{}]}'; do
    status=0
    out=$(printf '%s\n' "$problem" | "$abtest" stat) || status=$?
    [ "$status" -eq 1 ] && case $out in '{"error":'*) true ;; *) false ;; esac ||
        { echo "$problem -> $status $out" >&2; bad=1; }
done
[ "$bad" -eq 0 ] || fail "a bad problem was not answered with an error"
printf '{"test":"tail","statistic":1e999}\n\0\n' | "$abtest" stat > /dev/null && fail "1e999 passed"

# Values whose squares overflow are refused wherever a problem has values, with the limit.
for problem in '{"test":"ratios","control":[[1e200,1],[2,1]],"treatment":[[1,1],[2,1]]}' \
    '{"test":"bootstrap","statistic":"ratio","control":[[1,1],[2,1e151]],"treatment":[[1,1]]}' \
    '{"test":"cuped","control":{"y":[1,2],"x":[1,1e200]},"treatment":{"y":[1,2],"x":[1,3]}}' \
    '{"test":"cuped","control":{"y":[1,2e200],"x":[1,2]},"treatment":{"y":[1,2],"x":[1,3]}}' \
    '{"test":"means","control":[1,-1e151],"treatment":[1]}'; do
    printf '%s\n' "$problem" | "$abtest" stat > one && fail "overflow passed: $problem"
    grep -q '1e150' one || fail "no limit named: $(cat one)"
done

# A table with one outcome is not testable by any method, and says so.
for method in pooled unpooled score fisher barnard; do
    for arms in '[0,8],"treatment":[0,9]' '[8,8],"treatment":[9,9]'; do
        echo '{"test":"proportions","control":'"$arms"',"method":"'$method'"}' | "$abtest" stat > one
        grep -q '"p_value":null,"note":"not testable: every unit of both arms' one ||
            fail "$method of a table with one outcome: $(cat one)"
    done
done
echo '{"test":"proportions","control":[0,8],"treatment":[9,9],"method":"unpooled"}' | "$abtest" stat |
    grep -q '"p_value":null,"note":"not testable: within each arm' || fail "unpooled z of 0/8 against 9/9"

# abtest power says the same as the calculator.
"$abtest" power --baseline 0.1 --effect 0.02 | grep -q '^control units *3841 ' ||
    fail "power: 3841 units expected (R power.prop.test: 3840.85)"
[ "$("$abtest" power --metric mean --sd 2 --units 100 --json)" = \
    "$(echo '{"test":"power","metric":"mean","sd":2,"n_control":100}' | "$abtest" stat |
        sed 's/"test":"power",//')" ] || fail "power --json differs from stat"
status=0
"$abtest" power --baseline 0.1 2> err || status=$?
[ "$status" -eq 2 ] || fail "power without a question: exit status $status"
grep -q 'give an effect' err || fail "power does not say what is missing"
echo "$n examples of docs/stat.md hold"
