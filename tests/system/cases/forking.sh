#!/bin/bash
# shellcheck disable=SC2016
# The unit of Type=forking: start, stop, stop by force, a start that fails, a
# server outside of it.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"

unit=domino.service
use_unit $unit
unit_option $unit TimeoutStopSec=5
code 0 ct rc_domino check
use_unit $unit DOMINO_SHUTDOWN_TIMEOUT=8

note "start, restart, stop"
code 0 ct rc_domino start
state_is $unit active
[ "$(property $unit MainPID)" = "$(server_pid)" ] || fail "systemd's main process is another"
unit_limits_hold
code 0 ct rc_domino restart
code 0 ct rc_domino stop
state_is $unit inactive
nothing_left

note "a shutdown that hangs: 150"
mode ignore_quit=1
code 0 ct rc_domino start
code 150 ct rc_domino stop
nothing_left
mode ''

note "a start that fails keeps its code"
ct touch /local/notesdata/domino_disabled
code 154 ct rc_domino start
ct rm /local/notesdata/domino_disabled

note "a server outside of the unit is said and stopped"
code 0 ct rc_domino --direct start
ct rc_domino statusd >"$STATE/said" 2>&1
said 'the server runs, outside of it'
code 0 ct rc_domino stop
said 'outside of'
nothing_left

note "a stop that would be refused is, before systemd is at it"
code 0 ct rc_domino start
ct sh -c 'echo DOMINO_HOOK_TIMEOUT=x >>/etc/sysconfig/rc_domino_config'
code 6 ct rc_domino stop
said DOMINO_HOOK_TIMEOUT
code 6 ct rc_domino restart
state_is $unit active
[ "$(property $unit MainPID)" = "$(server_pid)" ] || fail "another server"

note "systemd's own stop is never refused: it would kill the server then"
for line in 'DOMINO_HOOK_TIMEOUT=x' 'if ['; do
    ct sh -c 'echo "$1" >>/etc/sysconfig/rc_domino_config' sh "$line"
    code 0 ct systemctl stop $unit
    state_is $unit inactive
    ct tail -n 3 /local/notesdata/notes.log | grep -q 'Server shutdown complete' || fail "no clean shutdown"
    nothing_left
    ct sed -i -e '/DOMINO_HOOK_TIMEOUT=x/d' -e '/^if \[$/d' /etc/sysconfig/rc_domino_config
    code 0 ct rc_domino start
done
use_unit $unit DOMINO_LOCK_TIMEOUT=1
ct flock -x /local/notesdata/.rc_domino.lock sleep 8 &
wait_for 5 ct pgrep -x flock
code 0 ct systemctl stop $unit
state_is $unit inactive
ct tail -n 3 /local/notesdata/notes.log | grep -q 'Server shutdown complete' || fail "no clean shutdown"
nothing_left

note "a compact at start that is longer than TimeoutStartSec"
use_unit $unit DOMINO_START_COMPACT_OPTIONS=-B
unit_option $unit TimeoutStartSec=5 TimeoutStopSec=5
mode compact_delay=15
code 0 ct rc_domino start
code 0 ct rc_domino stop
nothing_left
