#!/bin/bash
# shellcheck disable=SC2016
# What the verbs make of a unit that is not simply up or down: one that is
# still being started, a terminal or a systemctl that is lost meanwhile, starts
# that systemd does not make, a server outside of its unit, a mask.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"

unit=domino.service
log=/local/notesdata/notes.log
use_unit $unit

# unit_section KEY=VALUE...: of [Unit], by a drop-in.
unit_section() {
    ct sh -c 'd=/etc/systemd/system/$1.d; shift; mkdir -p "$d"; printf "[Unit]\n" >"$d/section.conf"; printf "%s\n" "$@" >>"$d/section.conf"; systemctl daemon-reload' \
        sh $unit "$@"
}

note "a stop while the start has not answered"
ct sh -c 'printf "#!/bin/sh\nsleep 8\n" >/usr/local/bin/slow-hook; chmod 755 /usr/local/bin/slow-hook'
use_unit $unit DOMINO_POST_STARTUP_SCRIPT=/usr/local/bin/slow-hook
ct systemctl start --no-block $unit
wait_for 20 ct grep -q 'Server started on physical node' $log
state_is $unit activating
code 0 ct rc_domino stop
said 'Waiting for the start of systemd unit'
ct grep -q 'Server shutdown complete' $log || fail "no clean shutdown"
state_is $unit inactive
nothing_left
use_unit $unit DOMINO_LOCK_TIMEOUT=2
ct systemctl start --no-block $unit
wait_for 20 ct pgrep -f slow-hook
code 153 ct rc_domino restart
domino >/dev/null || fail "the server is gone"
use_unit $unit DOMINO_LOCK_TIMEOUT=600 DOMINO_POST_STARTUP_SCRIPT=
wait_state 20 $unit active
code 0 ct rc_domino stop

# restart_losing COMMAND...: it is run during the stop of a restart, which is
# brought to its end all the same.
restart_losing() {
    local first restart
    mode shutdown_delay=4
    code 0 ct rc_domino start
    first=$(server_pid)
    ct setsid sh -c 'echo $$ >/tmp/group; exec rc_domino restart' >"$STATE/restarted" 2>&1 &
    restart=$!
    wait_for 20 ct grep -q 'Server shutdown requested' $log
    "$@" || fail "nothing was hit by: $*"
    wait $restart || fail "the restart failed: $(cat "$STATE/restarted")"
    state_is $unit active
    [ "$(server_pid)" != "$first" ] || fail "it was not restarted: $(cat "$STATE/restarted")"
    code 0 ct rc_domino stop
    nothing_left
    mode ''
}
note "a terminal that is lost during a restart"
restart_losing ct sh -c 'kill -HUP -$(cat /tmp/group)'
note "a systemctl that is ended during a restart"
restart_losing ct pkill -TERM -x systemctl

note "starts that systemd does not make, for root"
unit_section StartLimitIntervalSec=1000 StartLimitBurst=1
ct touch /local/notesdata/domino_disabled
code 154 ct rc_domino start
ct rm /local/notesdata/domino_disabled
code 1 ct rc_domino start
said "systemctl reset-failed $unit"
ct systemctl reset-failed $unit
unit_section StartLimitIntervalSec=0 Requires=missing.service
code 1 ct rc_domino start
! grep -q 'as root' "$STATE/said" || fail "wrong advice: $(cat "$STATE/said")"
unit_section StartLimitIntervalSec=0 ConditionPathExists=/nowhere
code 1 ct rc_domino start
unit_section StartLimitIntervalSec=0

note "a start by the Domino user, who may not control the unit"
by_notes() { ct runuser -u notes -- env DOMINO_NO_SUDO=1 rc_domino "$@"; }
code 4 by_notes start
said 'as root, or let sudo or polkit allow'
code 0 ct rc_domino start
code 0 by_notes start
said 'runs already'
code 0 ct rc_domino stop

note "a start with a server outside of the unit"
code 0 ct rc_domino --direct start
code 0 ct rc_domino start
said 'outside of'
state_is $unit inactive
code 0 ct rc_domino stop
nothing_left
code 0 ct rc_domino start

note "a unit that is masked"
ct sh -c 'mv /etc/systemd/system/$1 /usr/lib/systemd/system/ && systemctl mask $1' sh $unit
code 154 ct rc_domino restart
said "systemctl unmask $unit"
code 154 ct rc_domino restartcompact -B
code 154 ct rc_domino all restart
code 0 ct rc_domino status
code 0 ct rc_domino start
said 'runs already'
code 0 ct rc_domino stop
ct grep -q 'Server shutdown complete' $log || fail "no clean shutdown"
nothing_left
code 154 ct rc_domino start
said "systemctl unmask $unit"
nothing_left
code 3 ct rc_domino statusd
said masked
ct systemctl unmask $unit
code 0 ct rc_domino start
code 0 ct rc_domino stop
