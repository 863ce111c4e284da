# shellcheck shell=bash disable=SC2016,SC2013
# What the cases under tests/system/cases are written with. The driver sets
#   ROOTFS   a Debian root file system with systemd, never written to
#   STAGE    what `make install DESTDIR=` laid down, and the stand-in server
#   STATE    a directory for pids and consoles of containers
#   CT       the name of a container that runs and has the product installed
set -u

fail() { echo "FAILED: $*" >&2; exit 1; }
note() { echo "  $*"; }

# up NAME [systemd-nspawn arguments]: boots a throwaway copy of ROOTFS with its
# own systemd and waits until that has booted.
up() {
    local name=$1 hierarchy leader='' end=$((SECONDS + 60)) nspawn
    shift
    (
        # nspawn --keep-unit makes its groups below the caller's.
        for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
            if [ -d "$hierarchy" ]; then
                mkdir -p "$hierarchy/$name" && echo "$BASHPID" >"$hierarchy/$name/cgroup.procs"
            fi
        done
        echo "$BASHPID" >"$STATE/$name.nspawn"
        exec systemd-nspawn -q -D "$ROOTFS" -M "$name" --register=no --keep-unit \
            --private-network --volatile=overlay --bind-ro="$STAGE:/stage" "$@" -b </dev/null
    ) >"$STATE/$name.console" 2>&1 &
    nspawn=$!
    while [ $SECONDS -lt $end ]; do
        sleep 0.05
        kill -0 $nspawn 2>/dev/null || fail "$name: systemd-nspawn has ended: $(tail -n 5 "$STATE/$name.console")"
        leader=$(leader_of "$name")
        [ -n "$leader" ] || continue
        nsenter -t "$leader" -m -p -- test -S /run/systemd/private 2>/dev/null && break
        leader=''
    done
    [ -n "$leader" ] || fail "$name does not boot: $(tail -n 5 "$STATE/$name.console")"
    echo "$leader" >"$STATE/$name.pid"
    in_container "$name" systemctl is-system-running --wait >/dev/null 2>&1
    return 0
}

# The container's PID 1, as the host counts.
leader_of() {
    local nspawn child
    nspawn=$(cat "$STATE/$1.nspawn" 2>/dev/null) || return 1
    for child in $(cat /proc/[0-9]*/status 2>/dev/null |
        awk -v parent="$nspawn" '$1 == "Pid:" {pid = $2} $1 == "PPid:" {mine = $2 == parent} $1 == "NSpid:" && mine && $NF == 1 && NF > 2 {print pid}'); do
        echo "$child"
        return 0
    done
    return 1
}

# in_container NAME COMMAND...: as root, with its exit code.
in_container() {
    local leader
    leader=$(cat "$STATE/$1.pid") || return 1
    shift
    nsenter -t "$leader" -a -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 "$@"
}

# ct COMMAND...: in this case's container.
ct() { in_container "$CT" "$@"; }

# down NAME: powers it off, by force where that takes more than 60 s.
down() {
    local name=$1 nspawn leader tries
    nspawn=$(cat "$STATE/$name.nspawn" 2>/dev/null) || return 0
    leader=$(cat "$STATE/$name.pid" 2>/dev/null) || leader=''
    if [ -n "$leader" ]; then
        kill -s $(($(kill -l RTMIN) + 4)) "$leader" 2>/dev/null
        for ((tries = 0; tries < 600; tries++)); do
            [ -d "/proc/$leader" ] || break
            sleep 0.1
        done
        kill -KILL "$leader" 2>/dev/null
    fi
    for ((tries = 0; tries < 50; tries++)); do
        [ -d "/proc/$nspawn" ] || break
        sleep 0.1
    done
    kill -KILL "$nspawn" 2>/dev/null
    find "/sys/fs/cgroup/systemd/$name" "/sys/fs/cgroup/unified/$name" \
        -depth -type d -exec rmdir {} + 2>/dev/null
    rm -f "$STATE/$name.nspawn" "$STATE/$name.pid"
}

# install_product NAME: the product, and a stand-in Domino for user notes.
install_product() {
    in_container "$1" sh -eu -c '
        cp -a /stage/root/. /
        id notes >/dev/null 2>&1 || useradd -m -s /bin/bash notes
        mkdir -p /opt/hcl /local
        /stage/standin install /opt/hcl/domino /local/notesdata --owner "$(id -u notes):$(id -g notes)"
        cat >>/etc/sysconfig/rc_domino_config <<END
DOMINO_PID_FILE=/run/notes/domino.pid
DOMINO_SETTLE_SECONDS=0.2
END
        systemctl daemon-reload
    ' || fail "the product could not be installed in $1"
}

# use_unit UNIT [SETTING=VALUE...]: the unit that rc_domino acts through.
use_unit() {
    local unit=$1 setting
    shift
    for setting in "DOMINO_SYSTEMD_NAME=$unit" "$@"; do
        ct sh -c 'echo "$1" >>/etc/sysconfig/rc_domino_config' sh "$setting"
    done
}

# unit_option UNIT KEY=VALUE...: by a drop-in.
unit_option() {
    local unit=$1
    shift
    ct sh -c 'd=/etc/systemd/system/$1.d; shift; mkdir -p "$d"; printf "[Service]\n" >"$d/test.conf"; printf "%s\n" "$@" >>"$d/test.conf"; systemctl daemon-reload' \
        sh "$unit" "$@"
}

# mode KEY=VALUE...: how the stand-in behaves (tests/standin/mode.rs).
mode() {
    ct sh -c 'printf "%s\n" "$@" >/local/notesdata/standin.mode; chown notes: /local/notesdata/standin.mode' sh "$@"
}

# code EXPECTED COMMAND...: its exit code is that one.
code() {
    local expected=$1 got
    shift
    "$@" >"$STATE/said" 2>&1
    got=$?
    [ "$got" = "$expected" ] || fail "'$*' ended with $got, not $expected: $(cat "$STATE/said")"
}

# said TEXT: what the last `code` printed holds it.
said() { grep -qF -- "$1" "$STATE/said" || fail "no '$1' in: $(cat "$STATE/said")"; }

# in_time SECONDS COMMAND...: whether it succeeds until then.
in_time() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() { in_time "$@" || fail "waited in vain for: ${*:2}"; }

# property UNIT NAME: what systemd says.
property() { ct systemctl show --value --property="$2" "$1"; }

# state_is UNIT STATE: active, inactive, failed …
state_is() { [ "$(property "$1" ActiveState)" = "$2" ] || fail "$1 is $(property "$1" ActiveState), not $2: $(ct journalctl -n 30 --no-pager -u "$1")"; }

# wait_state SECONDS UNIT STATE: until that is its state.
has_state() { [ "$(property "$1" ActiveState)" = "$2" ]; }
wait_state() { wait_for "$1" has_state "$2" "$3"; }

# Processes of the installation; none ends with 1.
domino() { ct sh -c 'found=1; for exe in /proc/[0-9]*/exe; do
    case $(readlink "$exe") in /opt/hcl/domino/*) pid=${exe%/exe}; echo "${pid#/proc/} $(tr "\0" " " <"$pid/cmdline")"; found=0;; esac
done; exit $found'; }

# The server's own pid.
server_pid() { domino | awk '$2 ~ /linux\/server$/ && NF == 2 {print $1; exit}'; }

# limit_of PID WHAT: soft and hard limit of a process, by name in its limits.
limit_of() { ct sed -n "s/^Max $2  *\([^ ]*\)  *\([^ ]*\) .*/\1 \2/p" "/proc/$1/limits"; }

# The server has its unit's limits, but no more open files than this container
# may give; a virtual machine gives them all (tests/system/vm).
unit_limits_hold() {
    local files
    files=$(limit_of 1 'open files')
    files=${files#* }
    [ "$files" -lt 80000 ] || files=80000
    [ "$(limit_of "$(server_pid)" 'open files')" = "$files $files" ] ||
        fail "open files: $(limit_of "$(server_pid)" 'open files'), not the unit's"
    [ "$(limit_of "$(server_pid)" processes)" = '8000 8000' ] ||
        fail "processes: $(limit_of "$(server_pid)" processes), not the unit's"
}

# Nothing of the server is left: no process, no IPC object.
nothing_left() {
    # Domino's recovery sees a moment later that nothing is to be done.
    in_time 10 ct sh -c '! ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q " /opt/hcl/domino/tools/"'
    ! domino >"$STATE/left" || fail "left: $(cat "$STATE/left")"
    local ipc
    ipc=$(ct sh -c 'cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg | grep -cvE "key +(shm|sem|msq)id"')
    [ "$ipc" = 0 ] || fail "$ipc IPC objects are left"
}
