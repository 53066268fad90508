#!/usr/bin/env bash
# The access log: a line a request, another file after SIGHUP, and requests that do not care
# when it cannot be written.
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$1"
small_ratings >ratings.csv
train als
write_config() { # write_config ACCESS-LOG [FSYNC]
    cat <<INI
[server]
listen = 127.0.0.1:0
threads = 2
access_log = $1
[log]
directory = logs
fsync = ${2:-no}
[model als]
file = als.model
INI
}
lines() { # lines FILE N: waits until it has so many
    for _ in $(seq 1 600); do
        [ "$(cat "$1" 2>/dev/null | wc -l)" -lt "$2" ] || return 0
        sleep 0.05
    done
    fail "$1 does not get $2 lines: $(cat "$1")"
}
time='\[[0-3][0-9]/[A-Z][a-z][a-z]/20[0-9][0-9]:[0-9][0-9]:[0-9][0-9]:[0-9][0-9] +0000\]'

# What is asked and what is answered, escaped; the target as it was sent, not as it was decoded.
for fsync in no always; do
    rm -rf logs access.log
    write_config access.log "$fsync" >exp.ini
    start "$fsync"
    get "$url/v1/recommend?user=a%0ab" -o answer -D headers
    get --path-as-is "$url/x\"y\\z" >/dev/null
    get "$url/v1/experiments" -X POST -d '{}' >/dev/null
    get -I "$url/healthz" >/dev/null
    exec 5<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET / HTTP/1.1\nX\r\n\r\n' >&5
    cat <&5 >/dev/null
    exec 5>&-
    lines access.log 5
    stop
    [ "$(wc -l <access.log)" -eq 5 ] || fail "more lines than requests: $(cat access.log)"
    size=$(cat headers answer | wc -c)
    grep -qE "^127\.0\.0\.1 - - ${time/+/\\+} \"GET /v1/recommend\?user=a%0ab HTTP/1\.1\" 200 $size [0-9]+$" access.log ||
        fail "the first request: $(cat access.log)"
    grep -qF '"GET /x\x22y\x5cz HTTP/1.1" 404 ' access.log || fail "escapes: $(cat access.log)"
    grep -q "\"POST /v1/experiments HTTP/1.1\" 405 " access.log || fail "a refusal: $(cat access.log)"
    grep -q "\"HEAD /healthz HTTP/1.1\" 200 " access.log || fail "HEAD: $(cat access.log)"
    grep -qE " \"-\" 400 [0-9]+ [0-9]+$" access.log || fail "what could not be read: $(cat access.log)"
done

# As logrotate does it: rename, SIGHUP. Also when the config is wrong by then.
write_config access.log >exp.ini
start rotated
get "$url/healthz" >/dev/null
lines access.log 6
mv access.log access.log.1
echo '[nonsense]' >>exp.ini
kill -HUP "$server"
for _ in $(seq 1 600); do [ ! -e access.log ] || break; sleep 0.05; done
get "$url/healthz" >/dev/null
lines access.log 1
[ "$(wc -l <access.log.1)" -eq 6 ] || fail "the renamed file still grows"
grep -q nonsense err.rotated || fail "the config's mistake is not told"
stop

# Nobody waits for it: a full disk, a pipe that nobody empties. The lost lines are counted.
answers() { # answers N: so many requests are answered 200
    for _ in $(seq 1 "$1"); do printf 'url = "%s/v1/recommend?user=7"\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\n' "$url"; done |
        curl -s --max-time 20 -K - >codes
    [ "$(grep -c '^200$' codes)" -eq "$1" ] || fail "without an access log: $(sort codes | uniq -c)"
}
counts_lost() {
    for _ in $(seq 1 600); do
        [ "$(metric abtest_access_log_lost_lines_total)" -lt "$1" ] || return 0
        sleep 0.05
    done
    fail "$(metric abtest_access_log_lost_lines_total) lost lines, not $1"
}
write_config /dev/full >exp.ini
start full
answers 50
counts_lost 50
expect 200 ready "$url/readyz"
grep -q 'No space left' err.full || fail "a full disk is not told"
[ "$(grep -c access_log err.full)" -eq 1 ] || fail "one trouble is told more than once"
stop

mkfifo pipe
exec 6<>pipe # a reader that does not read
write_config pipe >exp.ini
start pipe
answers 2000
counts_lost 1
stop
exec 6>&-

write_config nowhere/access.log >exp.ini
"$abtest" serve exp.ini >out 2>err && fail "a path that cannot be written is accepted"
grep -q 'nowhere/access.log: No such file' err || fail "it is not named: $(cat err)"
echo "access log: all passed"
