#!/bin/bash
# shellcheck disable=SC2016
# rc_domino run as the first process of a container: a pid namespace of its own
# without systemd, su or sudo, under a number that no table of users has (D132).
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"
fail() { echo "FAILED: $*, with: $(ct cat /tmp/out)" >&2; exit 1; }

uid=1000660000
ct sh -eu -c '
    rm -f /etc/sysconfig/rc_domino_config
    rm -f /bin/su /usr/bin/su /usr/bin/sudo /sbin/runuser /usr/sbin/runuser
    /stage/standin install /opt/hcl/domino /data --owner "$1:0"
    mkdir /home/nobody-knows && chown "$1:0" /home/nobody-knows
' sh $uid

# begin [NAME=VALUE...]: starts it, its output in /tmp/out, its exit code in
# /tmp/code; PID1 is what PID 1 in there is out here, in the container.
begin() {
    ct rm -f /tmp/out /tmp/code
    ct sh -c 'uid=$1; shift
        setsid sh -c "unshare --pid --fork --mount --mount-proc \
            sh -c \"mount -t tmpfs none /run; exec setpriv --reuid $uid --regid 0 --clear-groups \
            env -i --default-signal PATH=/usr/bin:/bin HOME=/home/nobody-knows DOMINO_CONFIGURED=yes DOMINO_DATA_PATH=/data \
            DOMINO_SETTLE_SECONDS=0.2 $* rc_domino run\" >/tmp/out 2>&1 </dev/null; echo \$? >/tmp/code" &' \
        sh $uid "$@"
    wait_for 20 ct sh -c 'pgrep -o -x rc_domino >/tmp/pid1'
    PID1=$(ct cat /tmp/pid1)
}
# inside COMMAND...: as docker exec does, under the same number.
inside() {
    ct nsenter -t "$PID1" -p -m setpriv --reuid $uid --regid 0 --clear-groups \
        env -i PATH=/usr/bin:/bin DOMINO_CONFIGURED=yes DOMINO_DATA_PATH=/data "$@"
}
ended() {
    wait_for 30 ct test -s /tmp/code
    [ "$(ct cat /tmp/code)" = "$1" ] || fail "it ended with $(ct cat /tmp/code), not $1: $(ct cat /tmp/out)"
    nothing_left
}
show() { ct grep -i -e domino -e stop -e quit /tmp/out | grep -v = | cut -c1-120 | sed 's/^/    /'; }

note "PID 1 of root, who becomes notes; settings from the environment"
ct sh -eu -c '
    /stage/standin install /opt/hcl/domino /local/notesdata --owner "$(id -u notes):$(id -g notes)"
    unshare --pid --fork --mount --mount-proc sh -c "mount -t tmpfs none /run; exec env -i --default-signal \
        PATH=/usr/bin:/bin HOME=/root DOMINO_CONFIGURED=yes DOMINO_DATA_PATH=/local/notesdata \
        DOMINO_SERVER=mail DOMINO_SETTLE_SECONDS=0.2 rc_domino run" >/tmp/out 2>&1 </dev/null &'
wait_for 20 ct grep -q 'server mail is ready' /tmp/out
[ "$(ct stat -c %U "/proc/$(server_pid)")" = notes ] || fail "the server runs as somebody else"
# As docker exec does: root, with the container's environment.
first=$(ct pgrep -o -x rc_domino)
for verb in 'healthcheck ready' status 'lastlog 3' 'cmd "show tasks"'; do
    code 0 ct nsenter -t "$first" -p -m env -i PATH=/usr/bin:/bin HOME=/root DOMINO_CONFIGURED=yes \
        DOMINO_DATA_PATH=/local/notesdata DOMINO_SERVER=mail sh -c "rc_domino $verb"
done
ct kill -TERM "$first"
wait_for 20 ct grep -q 'stopped after' /tmp/out
wait_for 10 ct sh -c '! pgrep -x rc_domino'
nothing_left
ct /stage/standin install /opt/hcl/domino /data --owner $uid:0

for signal in TERM INT; do
    note "PID 1 of user $uid, stopped by SIG$signal"
    mode ''
    begin DOMINO_DOCKER_STDOUT=yes
    wait_for 20 inside rc_domino healthcheck ready
    wait_for 10 ct grep -q 'Server started on physical node' /tmp/out
    # An orphan of somebody who came in from outside.
    orphan=$(inside sh -c '(sleep 0.2 >/dev/null & echo $!)')
    wait_for 10 inside test ! -e "/proc/${orphan:?}"
    wait_for 10 inside sh -c '! grep -s "^State:.Z" /proc/[0-9]*/status'
    ct kill -s $signal "$PID1"
    ended 0
    ct grep -q 'Server shutdown complete' /tmp/out || fail "no clean shutdown: $(ct cat /tmp/out)"
done
show

note "a slow shutdown, more signals, a grace that is too short"
ct sh -c 'echo shutdown_delay=12 >/data/standin.mode'
begin DOMINO_TERMINATION_GRACE=30
wait_for 20 inside rc_domino healthcheck ready
for _ in 1 2 3; do ct kill -TERM "$PID1"; sleep 0.3; done
code 1 inside rc_domino healthcheck ready
code 0 inside rc_domino healthcheck live
ended 0
ct grep -q 'DOMINO_TERMINATION_GRACE, 30 seconds' /tmp/out || fail "the grace was not said"

note "a crash: fault recovery, then without"
ct sh -c 'printf "fault_recovery=1\n" >/data/standin.mode'
begin DOMINO_RECOVERY_SECONDS=10
wait_for 20 inside rc_domino healthcheck ready
first=$(server_pid)
ct kill -KILL "$first"
wait_for 20 ct grep -q 'is back' /tmp/out
wait_for 20 inside rc_domino healthcheck ready
[ "$(server_pid)" != "$first" ] || fail "the same server"
ct sh -c 'rm /data/standin.mode'
ct kill -KILL "$(server_pid)"
ended 151

note "One-Touch Setup from the environment"
ct sh -eu -c '/stage/standin install /opt/hcl/domino /data --no-setup --owner "$1:0"; echo "{}" >/tmp/setup.json; chown "$1" /tmp/setup.json' sh $uid
begin SetupAutoConfigure=1 SetupAutoConfigureParams=/tmp/setup.json
wait_for 20 inside rc_domino healthcheck ready
ct grep -q '^ServerSetup=' /data/notes.ini || fail "it was not set up"
ct kill -TERM "$PID1"
ended 0

note "a probe's time"
begin
wait_for 20 inside rc_domino healthcheck ready
ct sh -c 'cat >/tmp/probes <<END
for what in live ready; do
    least=1000000
    for n in 1 2 3 4 5 6 7 8 9 10; do
        began=\$(date +%s%N)
        rc_domino healthcheck \$what >/dev/null || exit 1
        took=\$(( (\$(date +%s%N) - began) / 1000000 ))
        [ \$took -ge \$least ] || least=\$took
    done
    echo \$what \$least ms
done
END'
inside sh /tmp/probes >"$STATE/times" || fail "a probe of a ready server failed"
[ "$(wc -l <"$STATE/times")" = 2 ] || fail "not both probes were timed: $(cat "$STATE/times")"
while read -r what took _; do
    note "healthcheck $what: $took ms"
    [ "$took" -lt 100 ] || fail "healthcheck $what takes $took ms"
done <"$STATE/times"
ct kill -TERM "$PID1"
ended 0
