#!/bin/bash
# shellcheck disable=SC2016
# One server by several names: what `service rc_domino` acts on beside either
# unit, and changing over from one unit to the other.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"

runs() { code 0 ct rc_domino status; }
down_is() { code 3 ct rc_domino status; }
# is_one UNIT: the init script's name is one of it, whoever starts and stops.
is_one() {
    [ "$(property rc_domino.service Id)" = "$1" ] || fail "rc_domino.service is $(property rc_domino.service Id), not $1"
    code 0 ct rc_domino check
    code 0 ct rc_domino start
    code 0 ct systemctl stop rc_domino
    down_is
    nothing_left
    code 0 ct systemctl start rc_domino
    runs
    code 0 ct systemctl stop "$1"
    down_is
    code 0 ct systemctl start rc_domino
    runs
    state_is "$1" active
    code 0 ct service rc_domino stop
    down_is
}

note "as installed"
[ "$(ct systemctl is-enabled domino.service)" = disabled ] || fail "domino.service is $(ct systemctl is-enabled domino.service)"
is_one domino.service

note "the notify unit, enabled in the place of the other"
code 0 ct systemctl enable domino-notify
use_unit domino-notify.service
is_one domino-notify.service
code 1 ct systemctl enable domino
said "already exists"
code 0 ct systemctl disable domino domino-notify

note "check says it where the name is another unit's, and where it is none's"
code 1 ct rc_domino check
said "'systemctl stop rc_domino'"
use_unit domino.service
code 0 ct rc_domino check
ct sh -c 'rm /usr/lib/systemd/system/rc_domino.service; systemctl daemon-reload'
[ "$(property rc_domino.service Id)" = rc_domino.service ] || fail "no unit was generated"
code 1 ct rc_domino check
said "'systemctl stop rc_domino'"
said "systemctl enable domino.service"
code 0 ct systemctl enable domino.service
is_one domino.service

note "an instance, whose init script can only be a unit of its own"
ct sh -eu -c '
    useradd -m -s /bin/bash mail-server
    cp -al /opt/hcl/domino /opt/hcl/domino2
    /stage/standin install /opt/hcl/domino2 /local/mail --owner "$(id -u mail-server):$(id -g mail-server)"
    printf "LOTUS=/opt/hcl/domino2\nDOMINO_DATA_PATH=/local/mail\nDOMINO_SYSTEMD_NAME=domino@mail-server.service\nDOMINO_PID_FILE=/run/domino-mail-server/domino.pid\n" >/etc/sysconfig/rc_domino_config_mail-server
    ln -s rc_domino /etc/init.d/rc_domino_mail-server
    systemctl daemon-reload'
code 1 ct rc_domino --user mail-server check
said "remove /etc/init.d/rc_domino_mail-server"
ct sh -c 'ln -s rc_domino /usr/bin/rc_domino_mail-server; rm /etc/init.d/rc_domino_mail-server; systemctl daemon-reload'
code 0 ct rc_domino_mail-server check
code 0 ct rc_domino_mail-server start
state_is domino@mail-server.service active
code 0 ct rc_domino_mail-server stop

note "changing over, ten times each way"
changes() {
    local user=$1 from=$2 to=$3
    # systemd would refuse the sixth start within ten seconds.
    ct systemctl reset-failed
    code 0 ct systemctl start "$to"
    state_is "$to" active
    state_is "$from" inactive
    code 0 ct rc_domino --direct --user "$user" status
}
for pair in notes:domino:domino-notify mail-server:domino@mail-server:domino-notify@mail-server; do
    IFS=: read -r user forking notify <<<"$pair"
    code 0 ct systemctl start "$forking"
    for ((round = 1; round <= 10; round++)); do
        changes "$user" "$forking" "$notify"
        changes "$user" "$notify" "$forking"
    done
    code 0 ct systemctl stop "$forking"
    code 3 ct rc_domino --user "$user" status
done
nothing_left
