#!/bin/bash
# shellcheck disable=SC2016
# systemctl restart, COUNT times (50; 500 before a release); in each tenth the
# server, one of its tasks or the main process is killed at a random moment.
# After each restart what systemd says and what /proc shows agree, and nothing
# is left over: no process, no IPC object, no descriptor.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/../lib.sh"

count=${COUNT:-50}
RANDOM=${SEED:=$$}
unit=${UNIT:-domino-notify.service}
note "$count restarts of $unit, SEED=$SEED"
use_unit "$unit" DOMINO_RECOVERY_SECONDS=2 DOMINO_SHUTDOWN_TIMEOUT=10
ct sh -c 'mkdir -p "/etc/systemd/system/$1.d"; printf "[Unit]\nStartLimitIntervalSec=0\n" >"/etc/systemd/system/$1.d/limit.conf"; systemctl daemon-reload' sh "$unit"

# One line: what systemd and /proc say, of which each part has to be as it was
# after the first start.
picture() {
    ct sh -c '
        main=$(systemctl show --value --property=MainPID "$1")
        group=$(systemctl show --value --property=ControlGroup "$1")
        server=0 others=0 pids=
        for exe in /proc/[0-9]*/exe; do
            case $(readlink "$exe") in /opt/hcl/domino/*) ;; *) continue ;; esac
            pid=${exe%/exe} pid=${pid#/proc/}
            pids="$pids $pid"
            case $(tr "\0" " " <"/proc/$pid/cmdline") in
                */linux/server\ ) server=$((server + 1)) descriptors=$(ls "/proc/$pid/fd" | wc -l) ;;
                *) others=$((others + 1)) ;;
            esac
        done
        zombies=$(grep -ls "^State:.Z" /proc/[0-9]*/status | wc -l)
        ipc=$(cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg | grep -cvE "key +(shm|sem|msq)id")
        in_group=$(cat /sys/fs/cgroup/systemd"$group"/cgroup.procs /sys/fs/cgroup"$group"/cgroup.procs 2>/dev/null | wc -l)
        of_user=$(ps -u notes -o pid= | wc -l)
        echo "$(systemctl show --value --property=ActiveState "$1") servers=$server others=$others" \
            "main=$(basename "$(readlink "/proc/$main/exe")") main-fds=$(ls "/proc/$main/fd" | wc -l)" \
            "server-fds=$descriptors zombies=$zombies ipc=$ipc group=$in_group user=$of_user"
    ' sh "$unit"
}

# Both say that there is a server, or that there is nothing at all.
agree() {
    case $(picture) in
        active\ servers=1\ *) ;;
        failed\ servers=0\ others=0\ * | inactive\ servers=0\ others=0\ *) ;;
        *) return 1 ;;
    esac
}

# Whom to kill, of those that are there.
victim() {
    case $1 in
        server) server_pid ;;
        task) domino | awk '$2 !~ /server$/ {print $1}' | shuf -n 1 ;;
        main) property "$unit" MainPID ;;
    esac
}

# A forking unit is started when the server has settled, its tasks come after.
same() { now=$(picture) && [ "$now" = "$good" ]; }
whole() { good=$(picture) && [[ $good == *' others=9 '* ]]; }

code 0 ct systemctl start "$unit"
wait_for 20 whole
note "$good"
case $good in
    active\ servers=1\ others=9\ *\ zombies=0\ *) ;;
    *) fail "after the first start: $good" ;;
esac
killed=0 late=0
# kill_it: counted by what became of it.
kill_it() { ct kill -KILL "$pid" 2>/dev/null; }
for ((round = 1; round <= count; round++)); do
    # One that came too late is made up for in the next round.
    if ((killed < round / 10)); then
        kinds=(server task main)
        kind=${kinds[RANDOM % 3]}
        pid=$(victim "$kind")
        [ "${pid:-0}" -gt 1 ] || fail "round $round: there is no $kind to kill"
        moment=$((RANDOM % 3))
        case $moment in
            0) kill_it ;;
            1) kill_it && sleep "0.$((RANDOM % 10))" ;;
            2) (sleep "0.$((RANDOM % 5))"; kill_it) & ;;
        esac || fail "round $round: the $kind, $pid, could not be killed"
    else
        kind=- moment=-
    fi
    code 0 ct systemctl restart "$unit"
    # Beside the restart a kill may come too late: the process has ended.
    if [ $moment = 2 ]; then
        if wait $!; then killed=$((killed + 1)); else late=$((late + 1)); fi
    elif [ $moment != - ]; then
        killed=$((killed + 1))
    fi
    if ! in_time 5 same; then
        # A kill that came late hit the restart itself, or what came after:
        # once Domino's recovery had its time, systemd knows.
        [ "$kind" = - ] && fail "after restart $round: $now"
        wait_for 20 agree
        code 0 ct systemctl restart "$unit"
        in_time 5 same || fail "after restart $round ($kind, moment $moment): $now"
    fi
done
code 0 ct systemctl stop "$unit"
nothing_left
[ "$(ct sh -c 'ps -u notes -o pid= | wc -l')" = 0 ] || fail "processes of the user are left"
note "$count restarts, $killed of them with a SIGKILL, $late that came too late: as after the first start each time"
[ $killed -ge $((count / 10 - 1)) ] || fail "only $killed kills hit, of $((count / 10))"
