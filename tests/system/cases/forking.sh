#!/bin/bash
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

note "a compact at start that is longer than TimeoutStartSec"
use_unit $unit DOMINO_START_COMPACT_OPTIONS=-B
unit_option $unit TimeoutStartSec=5 TimeoutStopSec=5
mode compact_delay=15
code 0 ct rc_domino start
code 0 ct rc_domino stop
nothing_left
