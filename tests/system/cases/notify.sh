#!/bin/bash
# The notify unit: ready, stop, restart, a shutdown that is slower than
# TimeoutStopSec, a hung one, and the death of server and main process.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"

unit=domino-notify.service
use_unit $unit DOMINO_RECOVERY_SECONDS=2
code 0 ct systemctl enable $unit
# Less than any stop below takes.
unit_option $unit TimeoutStopSec=10 TimeoutStartSec=10

note "start answers when the server is ready"
mode start_delay=3
code 0 ct rc_domino start
state_is $unit active
ct grep -q 'Server started on physical node' /local/notesdata/notes.log || fail "not ready yet"
code 0 ct rc_domino healthcheck ready
code 0 ct rc_domino check
ct systemctl status $unit | grep -q 'Status: "Domino server notes is ready' || fail "no status"
unit_limits_hold

note "restart, then stop"
code 0 ct rc_domino restart
state_is $unit active
code 0 ct rc_domino stop
state_is $unit inactive
nothing_left

note "a start-up longer than TimeoutStartSec"
mode start_delay=25
code 0 ct rc_domino start

note "a shutdown of 40 s under TimeoutStopSec=10"
mode shutdown_delay=40
began=$SECONDS
code 0 ct rc_domino stop
[ $((SECONDS - began)) -ge 38 ] || fail "it took only $((SECONDS - began)) s"
state_is $unit inactive
ct grep -q 'Server shutdown complete' /local/notesdata/notes.log || fail "no clean shutdown"
nothing_left

note "a shutdown that hangs: 150, through systemd too"
use_unit $unit DOMINO_SHUTDOWN_TIMEOUT=15
mode ignore_quit=1
code 0 ct rc_domino start
code 150 ct rc_domino stop
state_is $unit failed
nothing_left
mode ''
code 0 ct rc_domino start
code 0 ct rc_domino stop

note "a time for the shutdown that was raised after the start"
mode shutdown_delay=20
code 0 ct rc_domino start
use_unit $unit DOMINO_SHUTDOWN_TIMEOUT=60
code 0 ct rc_domino stop
mode ''
use_unit $unit DOMINO_SHUTDOWN_TIMEOUT=15

note "the stop by hand, past systemd"
code 0 ct rc_domino start
code 0 ct rc_domino --direct stop
wait_state 30 $unit inactive

note "SIGKILL of the server, without and with fault recovery"
code 0 ct rc_domino start
ct kill -KILL "$(server_pid)"
wait_state 30 $unit failed
[ "$(property $unit ExecMainStatus)" = 151 ] || fail "main process: $(property $unit ExecMainStatus)"
nothing_left
mode fault_recovery=1
use_unit $unit DOMINO_RECOVERY_SECONDS=20
code 0 ct rc_domino start
first=$(server_pid)
ct kill -KILL "$first"
wait_for 20 ct sh -c "journalctl -u $unit | grep -q 'is back (pid'"
state_is $unit active
wait_for 20 ct rc_domino healthcheck ready
[ "$(server_pid)" != "$first" ] || fail "the same server"
code 0 ct rc_domino stop
nothing_left

note "SIGKILL of the main process: the server is closed, not killed"
use_unit $unit DOMINO_SHUTDOWN_TIMEOUT=120
mode shutdown_delay=14
code 0 ct rc_domino start
ct kill -KILL "$(property $unit MainPID)"
wait_state 40 $unit failed
ct tail -n 3 /local/notesdata/notes.log | grep -q 'Server shutdown complete' || fail "no clean shutdown"
nothing_left
code 0 ct rc_domino stop

note "SIGKILL of the main process during a stop"
code 0 ct rc_domino start
ct systemctl stop --no-block $unit
wait_for 10 ct grep -q 'shutdown requested' /local/notesdata/notes.log
ct kill -KILL "$(property $unit MainPID)"
code 0 ct rc_domino stop
ct tail -n 3 /local/notesdata/notes.log | grep -q 'Server shutdown complete' || fail "no clean shutdown"
nothing_left
mode ''

note "a start beside an administrator's compact is refused, and harms nothing"
ct systemctl reset-failed $unit
mode compact_delay=12
ct sh -c 'runuser -u notes -- /opt/hcl/domino/bin/compact mail/x.nsf >/dev/null 2>&1; echo $? >/tmp/compact' &
wait_for 10 ct pgrep -x compact
code 1 ct rc_domino start
state_is $unit failed
ct pgrep -x compact >/dev/null || fail "the compact is gone"
! ct test -e /local/notesdata/.rc_domino.unclean || fail "marked as unclean"
wait_for 20 ct test -s /tmp/compact
[ "$(ct cat /tmp/compact)" = 0 ] || fail "compact ended with $(ct cat /tmp/compact)"
mode ''
code 0 ct rc_domino stop

note "a crash at the stop that a late fault recovery answers"
# The recovery set above is more than each below takes: stop waits for it to
# end, too.
mode crash_on_stop=1 fault_recovery=1 fault_recovery_delay=3
code 0 ct rc_domino start
code 151 ct rc_domino stop
nothing_left
sleep 5
nothing_left
mode fault_recovery=1 fault_recovery_delay=8
code 0 ct rc_domino start
ct kill -KILL "$(server_pid)"
wait_for 10 ct sh -c "systemctl status $unit | grep -q 'is gone'"
code 150 ct rc_domino stop
said 'not closed cleanly'
sleep 9
nothing_left
mode ''
code 0 ct rc_domino start
code 0 ct rc_domino stop

note "disabled for maintenance"
ct touch /local/notesdata/domino_disabled
code 154 ct rc_domino start
state_is $unit failed
ct rm /local/notesdata/domino_disabled

note "a server started outside of the unit is taken over"
code 0 ct rc_domino --direct start
first=$(server_pid)
code 0 ct rc_domino start
state_is $unit active
[ "$(server_pid)" = "$first" ] || fail "another server"
code 0 ct rc_domino stop
nothing_left
