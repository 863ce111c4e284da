#!/bin/bash
# shellcheck disable=SC2016
# A shutdown of SLOW seconds (45; 1200 before a release) under a TimeoutStopSec
# of a quarter of that: systemd kills nothing, with either unit.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"

slow=${SLOW:-45}
mode "shutdown_delay=$slow"
ct sh -c 'echo "DOMINO_SHUTDOWN_TIMEOUT=$1" >>/etc/sysconfig/rc_domino_config' sh $((slow + 300))
for unit in ${UNITS:-domino-notify.service domino.service}; do
    note "$unit: $slow s under TimeoutStopSec=$((slow / 4))"
    use_unit "$unit"
    unit_option "$unit" "TimeoutStopSec=$((slow / 4))"
    code 0 ct rc_domino start
    began=$SECONDS
    code 0 ct rc_domino stop
    [ $((SECONDS - began)) -ge $((slow - 1)) ] || fail "it took only $((SECONDS - began)) s"
    state_is "$unit" inactive
    ct tail -n 3 /local/notesdata/notes.log | grep -q 'Server shutdown complete' || fail "no clean shutdown"
    nothing_left
    note "$unit: stopped cleanly after $((SECONDS - began)) s"
done
