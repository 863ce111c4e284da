#!/bin/bash
# shellcheck disable=SC2016
# The templates: a second server, of user mail, beside that of notes.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"

use_unit domino-notify.service
ct sh -eu -c '
    useradd -m -s /bin/bash mail-server
    cp -al /opt/hcl/domino /opt/hcl/domino2
    /stage/standin install /opt/hcl/domino2 /local/mail --owner "$(id -u mail-server):$(id -g mail-server)"'
code 0 ct rc_domino start
first=$(server_pid)
for kind in domino-notify domino; do
    unit=$kind@mail-server.service
    note "$unit"
    ct sh -c 'cat >/etc/sysconfig/rc_domino_config_mail-server' <<END
LOTUS=/opt/hcl/domino2
DOMINO_DATA_PATH=/local/mail
DOMINO_SERVER=mail
DOMINO_SYSTEMD_NAME=$unit
DOMINO_PID_FILE=/run/domino-mail-server/domino.pid
END
    code 0 ct rc_domino --user mail-server check
    code 0 ct rc_domino --user mail-server start
    state_is "$unit" active
    code 0 ct rc_domino --user mail-server status
    said 'Domino Server is running (mail)'
    [ "$(server_pid)" = "$first" ] || fail "the other server was touched"
    code 0 ct rc_domino --user mail-server restart
    code 0 ct rc_domino --user mail-server stop
    state_is "$unit" inactive
    code 3 ct rc_domino --user mail-server status
    code 0 ct rc_domino status
    state_is domino-notify.service active
done

note "all restart, killed while both are stopping: both come back"
pids() { ct pgrep -f '/linux/server$' | tr '\n' ' '; }
both_back() {
    local pid now
    now=$(pids)
    # Two, of which none was there before.
    [ "$(wc -w <<<"$now")" = 2 ] || return 1
    for pid in $now; do
        case " $before" in *" $pid "*) return 1 ;; esac
    done
}
code 0 ct rc_domino all start
before=$(pids)
code 0 ct rc_domino all restart
in_time 20 both_back || fail "before: $before, now: $(pids)"
mode shutdown_delay=5
ct cp -a /local/notesdata/standin.mode /local/mail/
for signal in KILL HUP; do
    before=$(pids)
    ct sh -c '
        count() { grep -c "Server shutdown requested" "$1"; }
        notes=/local/notesdata/notes.log mail=/local/mail/mail.log n=0
        [ -s $notes ] && [ -s $mail ] || exit 1
        notes_was=$(count $notes) mail_was=$(count $mail)
        rc_domino all restart &
        while [ "$(count $notes)" -le "$notes_was" ] || [ "$(count $mail)" -le "$mail_was" ]; do
            [ $((n += 1)) -lt 400 ] || exit 1
            sleep 0.05
        done
        kill -$1 $! || exit 1
        wait' sh $signal >"$STATE/killed" 2>&1 || fail "SIG$signal hit nothing: $(cat "$STATE/killed")"
    wait_for 60 both_back
    for each in "$unit" domino-notify.service; do wait_state 20 "$each" active; done
done
mode ''

note "a user who is gone is a failure of the whole"
ct sed -i 's/^mail-server:/gone:/' /etc/passwd
code 6 ct rc_domino all stop
said '  mail-server  exit code 6'
ct sed -i 's/^gone:/mail-server:/' /etc/passwd
code 0 ct rc_domino all stop
[ -z "$(pids)" ] || fail "left: $(pids)"
nothing_left
