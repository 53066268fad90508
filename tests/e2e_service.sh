#!/usr/bin/env bash
# As a service: a socket that was passed, no rights, nothing to write to but the log; and the
# unit files hold what systemd checks without running them.
set -euo pipefail
units=$(realpath "$(dirname "$0")/../examples/systemd")
. "$(dirname "$0")/lib.sh" "$1"
command -v perl >/dev/null || skip "no perl here"
chmod 755 .
mkdir tree logs
small_ratings >ratings.csv
train als
mv ratings.csv als.model tree/
cp "$abtest" tree/abtest
abtest=$work/tree/abtest
cat >tree/exp.ini <<INI
[server]
listen = 127.0.0.1:0
threads = 2
access_log = $work/logs/access.log
[log]
directory = $work/logs
fsync = always
[data]
ratings = ratings.csv
[model als]
file = als.model
INI
chmod 644 tree/exp.ini tree/als.model
config=$work/tree/exp.ini

# ---- the units
grep -qx 'StartLimitIntervalSec=0' "$units/abtest.service" || fail "five failed starts would end the service for good"
if command -v systemd-analyze >/dev/null; then
    sed "s|/usr/bin/abtest|$abtest|" "$units/abtest.service" >abtest.service
    cp "$units/abtest.socket" .
    systemd-analyze verify ./abtest.service ./abtest.socket 2>err.units || fail "systemd does not like the units"
    [ ! -s err.units ] || fail "systemd warns of the units"
    # 20 means 2.0 of 10: what is left open is the network and reading the file system.
    systemd-analyze security --offline=true --threshold=20 ./abtest.service >exposure || fail "the sandbox: $(cat exposure)"
    tail -n 1 exposure
else
    echo "no systemd-analyze here: the units are not checked"
fi

# ---- no rights, and a tree that cannot be written
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chown 65534:65534 logs
    launch=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all)
    if unshare -m true 2>/dev/null; then
        # shellcheck disable=SC2016
        launch=(unshare -m sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"' "$work/tree" "${launch[@]}")
    else
        echo "no mounts here: the tree is protected by its owner alone"
    fi
    start nobody
    grep -q '^Uid:.65534' "/proc/$server/status" || fail "it does not run as nobody"
    grep -qE '^CapEff:.0+$' "/proc/$server/status" || fail "it has capabilities"
    expect 200 items "$url/v1/recommend?user=7"
    expect 200 ready "$url/readyz"
    stop
    "$abtest" logs verify logs >/dev/null || fail "the log is damaged"
    [ "$(ls tree | tr '\n' ' ')" = 'abtest als.model exp.ini ratings.csv ' ] || fail "it wrote into the tree: $(ls tree)"
    find logs -type f ! -uid 65534 | grep . && fail "files of another user in the log"
    [ ! -s err.nobody ] || fail "trouble is told"
    rm -rf logs/*
else
    echo "not root, or no setpriv: not tried as another user"
fi

# ---- socket activation: systemd's part is played by perl, which holds the socket over restarts
cat >activate.pl <<'PERL'
use Socket; use POSIX;
$^F = 10; # descriptors up to this one outlive exec
my $s;
socket($s, PF_INET, SOCK_STREAM, 0) and bind($s, sockaddr_in(0, INADDR_LOOPBACK)) and listen($s, 64) or die $!;
POSIX::dup2(fileno($s), 3) or die $!;
$| = 1;
print "port ", (sockaddr_in(getsockname($s)))[0], "\n";
for my $run (1, 2) {
    my $pid = fork();
    if (!$pid) { $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1; exec @ARGV; die $!; }
    open(my $file, ">", "pid.$run.tmp"); print $file $pid; close($file); rename("pid.$run.tmp", "pid.$run");
    waitpid($pid, 0);
    exit 1 if $?;
    sleep 1; # connections wait in the socket meanwhile
}
PERL
launch=(perl activate.pl)
server_of() { for _ in $(seq 1 600); do [ ! -s "pid.$1" ] || break; sleep 0.05; done; cat "pid.$1" || fail "perl did not start it"; }
"${launch[@]}" "$abtest" serve "$config" >out.passed 2>err.passed &
server=$!
first=$(server_of 1)
for _ in $(seq 1 1200); do
    [ "$(wc -l <out.passed)" -lt 2 ] || break
    kill -0 "$server" || fail "no start"
    sleep 0.05
done
port=$(sed -n 's/^port //p' out.passed)
url=http://127.0.0.1:$port
grep -qx "listening on $url" out.passed || fail "it listens elsewhere: $(cat out.passed)"
expect 200 items "$url/v1/recommend?user=7"
kill -TERM "$first"
# Answered by the old one, or it waits for the next.
for user in 8 9 10; do expect 200 items "$url/v1/recommend?user=$user"; done
kill -TERM "$(server_of 2)"
wait "$server" || fail "exit status of the servers"
server=
[ "$("$abtest" logs cat logs | grep -c '"exposure"')" -eq 4 ] || fail "not four exposures"

# Meant for another process: not ours.
launch=(env LISTEN_PID=1 LISTEN_FDS=1)
start other
expect 200 ok "$url/healthz"
stop

# A socket that is none of the config's is told as what it is; of several, none would be better
# served by halves: nobody would accept from the others.
cat >pass.pl <<'PERL'
use Socket; use POSIX;
$^F = 20;
my $n = shift @ARGV;
for my $i (0 .. $n - 1) {
    my $s;
    socket($s, PF_UNIX, SOCK_STREAM, 0) and bind($s, sockaddr_un("socket.$i")) and listen($s, 64) or die $!;
    POSIX::dup2(fileno($s), 3 + $i) or die $!;
    push @keep, $s;
}
$ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} //= $n; exec @ARGV; die $!;
PERL
launch=(perl pass.pl 1)
start unix
[ "$url" = unix:socket.0 ] || fail "a passed socket is told as $url"
expect 200 ok --unix-socket socket.0 http://x/healthz
stop
rm socket.*
exits 1 timeout 20 perl pass.pl 2 "$abtest" serve "$config"
says '2 sockets were passed.* ListenStream=' err
[ ! -s out ] || fail "it listens all the same"
rm socket.*
exits 1 env LISTEN_FDS=1x timeout 20 perl pass.pl 1 "$abtest" serve "$config"
says 'LISTEN_FDS is "1x"' err

# Promised and not there: nothing is served from a descriptor that is something else.
# shellcheck disable=SC2016
exits 1 env LISTEN_FDS=1 timeout 20 sh -c 'exec 3<&-; LISTEN_PID=$$ exec "$0" serve "$1"' "$abtest" "$config"
says 'no listening socket' err
echo "service: all passed"
