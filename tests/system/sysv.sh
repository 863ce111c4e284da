#!/bin/bash
# The init script under insserv, update-rc.d, systemd-sysv-generator and
# chkconfig, and LSB's codes, in a container of Debian. As root:
#   tests/system/sysv.sh
# SYSV_ROOTFS names a Debian root file system with systemd, insserv and
# initscripts; without it one is made with mmdebstrap and kept under /var/tmp.
# PROGRAM names another binary than the release build, SCRATCH another place
# than /var/tmp, RC_ALL the original's rc_all and CHKCONFIG a static chkconfig,
# which are run where they are given.
# Ends with 77 where it cannot run here.
# shellcheck disable=SC2016
# (Single quotes are for the shell in the container.)
SUITE='sysv test'
# shellcheck source=tests/system/driver.sh
. "$(dirname "$0")/driver.sh"
# shellcheck disable=SC2119
need
root_file_system "${SYSV_ROOTFS:-}" sysv-rootfs insserv,initscripts,rsyslog
programs
workshop sysv
CT=sysv-$$
export CT
[ -z "${RC_ALL:-}" ] || install -m 755 "$RC_ALL" "$STAGE/rc_all"
[ -z "${CHKCONFIG:-}" ] || install -m 755 "$CHKCONFIG" "$STAGE/chkconfig"

echo "=== a container without a unit for Domino"
up "$CT"
install_product "$CT"
ct sh -c 'rm -f /etc/systemd/system/domino* /usr/lib/systemd/system/rc_domino.service; systemctl daemon-reload'
script=/etc/init.d/rc_domino
links() { ct sh -c 'cd /etc && ls -d rc?.d/*"$1" 2>/dev/null | sed "s#/\([SK]\)[0-9]*#/\1#" | tr "\n" " "' sh "$1"; }
wanted='rc0.d/Krc_domino rc1.d/Krc_domino rc2.d/Krc_domino rc3.d/Src_domino rc4.d/Src_domino rc5.d/Src_domino rc6.d/Krc_domino '

if ct test -x /sbin/insserv || ct test -x /usr/sbin/insserv || ct test -x /usr/lib/insserv/insserv; then
    echo "=== insserv"
    insserv=$(ct sh -c 'command -v insserv || echo /usr/lib/insserv/insserv')
    code 0 ct "$insserv" -v rc_domino
    ! grep -q 'warning.*rc_domino\|rc_domino.*missing' "$STATE/said" || fail "$(cat "$STATE/said")"
    got=$(links rc_domino)
    [ "$got" = "$wanted" ] || fail "insserv made $got"
    # After what it needs, before that is taken away.
    ct sh -c 'cd /etc/rc3.d && ls' >"$STATE/rc3"
    note "rc3.d: $(tr '\n' ' ' <"$STATE/rc3")"
    # A second server: a copy of the script of its own, as Provides has to differ.
    ct sh -c 'sed "s/^# Provides:.*/# Provides:          rc_domino_mail/" /etc/init.d/rc_domino >/etc/init.d/rc_domino_mail; chmod 755 /etc/init.d/rc_domino_mail'
    code 0 ct "$insserv" rc_domino_mail
    [ -n "$(links rc_domino_mail)" ] || fail "no links for rc_domino_mail"
    code 0 ct "$insserv" -r rc_domino_mail
    code 0 ct "$insserv" -r rc_domino
    [ -z "$(links rc_domino)" ] || fail "insserv -r left $(links rc_domino)"
    ct rm -f /etc/init.d/rc_domino_mail
else
    echo "NOT RUN: insserv is not in $ROOTFS"
fi

echo "=== update-rc.d"
code 0 ct update-rc.d rc_domino defaults
got=$(links rc_domino)
case $got in *rc0.d/Krc_domino*rc3.d/Src_domino*rc5.d/Src_domino*rc6.d/Krc_domino*) ;; *) fail "update-rc.d made $got" ;; esac
code 0 ct update-rc.d rc_domino disable
case $(links rc_domino) in *Src_domino*) fail "disable left $(links rc_domino)" ;; esac
code 0 ct update-rc.d -f rc_domino remove

if [ -n "${CHKCONFIG:-}" ]; then
    echo "=== chkconfig"
    chkconfig=/stage/chkconfig
    code 0 ct $chkconfig --add rc_domino
    got=$(links rc_domino)
    [ "$got" = "$wanted" ] || fail "chkconfig made $got"
    code 0 ct $chkconfig --list rc_domino
    for level in 0:off 1:off 2:off 3:on 4:on 5:on 6:off; do said $level; done
    code 0 ct $chkconfig rc_domino off
    case $(links rc_domino) in *Src_domino*) fail "off left $(links rc_domino)" ;; esac
    code 0 ct $chkconfig --level 35 rc_domino on
    case $(links rc_domino) in *rc3.d/Src_domino*rc4.d/Krc_domino*rc5.d/Src_domino*) ;; *) fail "on made $(links rc_domino)" ;; esac
    # As init calls it: by the name of the link.
    code 3 ct sh -c '/etc/rc3.d/S??rc_domino status'
    code 0 ct $chkconfig --del rc_domino
    [ -z "$(links rc_domino)" ] || fail "chkconfig --del left $(links rc_domino)"
else
    echo "NOT RUN: chkconfig, which Debian does not have; its header is looked at only"
fi
# What chkconfig(8) asks for: levels, start and stop priority, a description.
ct grep -qE '^# chkconfig: [0-9-]+ [0-9]+ [0-9]+$' $script || fail "no chkconfig line"
ct grep -qE '^# description: [^ ]' $script || fail "no description"

echo "=== systemd-sysv-generator"
ct sh -c 'mkdir -p /tmp/g/1 /tmp/g/2 /tmp/g/3; /usr/lib/systemd/system-generators/systemd-sysv-generator /tmp/g/1 /tmp/g/2 /tmp/g/3' || fail "the generator failed"
ct cat /tmp/g/3/rc_domino.service >"$STATE/unit" || fail "no unit was generated"
for line in 'ExecStart=/etc/init.d/rc_domino start' 'ExecStop=/etc/init.d/rc_domino stop' 'Description=LSB: HCL Domino server'; do
    grep -qxF "$line" "$STATE/unit" || fail "no '$line' in: $(cat "$STATE/unit")"
done
code 0 ct systemctl daemon-reload
code 0 ct systemctl start rc_domino
wait_for 20 ct $script status
has_state rc_domino.service active || fail "rc_domino.service is $(property rc_domino.service ActiveState)"
code 0 ct systemctl restart rc_domino
code 0 ct $script status
code 0 ct systemctl stop rc_domino
code 3 ct $script status
nothing_left
# A stop has five minutes there.
ct sh -c 'echo DOMINO_SHUTDOWN_TIMEOUT=600 >>/etc/sysconfig/rc_domino_config'
short='TimeoutSec=5min is below DOMINO_SHUTDOWN_TIMEOUT'
code 1 ct rc_domino check
said "$short"
unit_option rc_domino.service TimeoutSec=20min
ct rc_domino check | grep -q "$short" && fail "check does not see the drop-in"

# D125.
echo "=== LSB codes and /var/lock/subsys"
ct mkdir -p /var/lock/subsys
marked() { ct test -e /var/lock/subsys/rc_domino; }
code 3 ct $script status
for verb in try-restart force-reload; do
    code 0 ct $script $verb
    said "nothing to restart"
    domino && fail "$verb started a server"
done
code 0 ct $script start
marked || fail "no mark after start"
code 0 ct $script start
code 0 ct $script status
first=$(server_pid)
code 0 ct $script try-restart
second=$(server_pid)
[ "$first" != "$second" ] || fail "try-restart restarted nothing"
code 0 ct $script force-reload
[ "$second" != "$(server_pid)" ] || fail "force-reload restarted nothing"
code 0 ct $script restart
marked || fail "no mark after restart"
code 0 ct $script stop
marked && fail "a mark after stop"
code 0 ct $script stop
code 3 ct $script status
code 2 ct $script frobnicate
code 2 ct $script stop now
# Errors go to stderr, and nothing else does.
for wrong in "$script frobnicate" "$script stop now"; do
    # shellcheck disable=SC2086
    out=$(ct $wrong 2>/dev/null)
    [ -z "$out" ] || fail "$wrong prints to stdout: $out"
done
ct useradd -m guest 2>/dev/null
code 4 ct runuser -u guest -- $script start
code 4 ct runuser -u guest -- $script status
ct mv /opt/hcl/domino /opt/hcl/away
code 5 ct $script start
ct mv /opt/hcl/away /opt/hcl/domino
ct mv /etc/sysconfig/rc_domino_config /etc/sysconfig/away
code 6 ct $script start
ct mv /etc/sysconfig/away /etc/sysconfig/rc_domino_config

echo "=== a process that only looks alike is not touched"
ct sh -c 'cp /bin/sleep /tmp/server; setsid setpriv --reuid notes --clear-groups /tmp/server 300 >/dev/null 2>&1 & echo $! >/tmp/server.pid; sleep 0.3'
code 3 ct $script status
code 0 ct $script stop
ct sh -c 'kill -0 "$(cat /tmp/server.pid)"' || fail "it was killed"

echo "=== several servers"
ct sh -eu -c '
    useradd -m mail2
    /stage/standin install /opt/hcl/domino2 /local/mail2 --owner "$(id -u mail2):$(id -g mail2)"
    printf "LOTUS=/opt/hcl/domino2\nDOMINO_DATA_PATH=/local/mail2\nDOMINO_PID_FILE=/tmp/mail2.pid\nDOMINO_SETTLE_SECONDS=0.2\n" >/etc/sysconfig/rc_domino_config_mail2
    ln -s rc_domino /etc/init.d/rc_domino_mail2
    ln -sf rc_domino /usr/bin/rc_domino_mail2' || fail "no second server"
code 0 ct /etc/init.d/rc_domino_mail2 start
code 3 ct $script status
code 0 ct rc_domino_mail2 status
ct test -e /var/lock/subsys/rc_domino_mail2 || fail "no mark of its own"
marked && fail "the other's mark"
code 0 ct rc_domino all start
ct rc_domino all status | sed 's/^/  /'
code 0 ct rc_domino all status
if [ -n "${RC_ALL:-}" ]; then
    echo "=== the original's rc_all"
    ct cp /stage/rc_all /usr/local/bin/rc_all
    code 0 ct rc_all statusall
    said '[ ON  ] - notes'
    said '[ ON  ] - mail2'
    code 0 ct rc_all statusrc
    said 'Domino Server is running (mail2)'
    code 0 ct rc_all stop
    code 3 ct rc_domino all status
    code 0 ct rc_all start
    code 0 ct rc_domino all status
fi
code 0 ct rc_domino all stop
code 3 ct rc_domino all status
ct sh -c 'kill "$(cat /tmp/server.pid)"'
domino && fail "something is left"
echo "passed"
