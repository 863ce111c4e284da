#!/bin/bash
# The resource agent under a real Pacemaker: two nodes, containers that
# systemd-nspawn boots on a bridge in a network namespace of their own, with one
# data directory between them. As root:
#   tests/system/cluster.sh
# HA_ROOTFS names a Debian root file system with pacemaker, corosync, pcs,
# resource-agents and libxml2-utils; without it one is made with mmdebstrap and
# kept under /var/tmp. PROGRAM names another binary than the release build,
# SCRATCH another place than /var/tmp. Ends with 77 where it cannot run here.
# shellcheck disable=SC2016
# (Single quotes are for the shell in the container.)
SUITE='cluster test'
# shellcheck source=tests/system/driver.sh
. "$(dirname "$0")/driver.sh"
need unshare:util-linux ip:iproute2
packages=iproute2,pacemaker,corosync,pcs,resource-agents,pacemaker-cli-utils,pacemaker-resource-agents
root_file_system "${HA_ROOTFS:-}" ha-rootfs "$packages,libxml2-utils"
[ -x "$ROOTFS/usr/sbin/pacemakerd" ] || not_run "$ROOTFS holds no pacemaker"
programs
if [ -z "${CLUSTER_INSIDE:-}" ]; then
    # The bridge is nobody else's business.
    CLUSTER_INSIDE=1 HA_ROOTFS=$ROOTFS exec unshare --net "$here/cluster.sh"
fi
workshop cluster
background=()
trap 'kill "${background[@]}" 2>/dev/null; clean' EXIT
run=$$
# Containers of this run, by node.
ct_of() { echo "ha-$run-$1"; }
on() {
    local node=$1
    shift
    in_container "$(ct_of "$node")" "$@"
}
mkdir -p "$STATE/shared"
chmod 755 "$STATE/shared"

ip link set lo up
ip link add br0 type bridge || not_run "no bridge can be made"
ip link set br0 up

# ---- two nodes

# node NAME NUMBER: boots it, with the product and its half of the cluster.
node() {
    up "$(ct_of "$1")" --capability=all --network-bridge=br0 --hostname="$1" \
        --bind="$STATE/shared:/local"
    on "$1" sh -eu -c '
        systemctl stop pacemaker corosync
        ip link set host0 up
        ip addr add "10.99.0.$2/24" dev host0
        printf "10.99.0.1 node1\n10.99.0.2 node2\n" >>/etc/hosts
        rm -rf /var/lib/pacemaker/cib/* /var/lib/corosync/*
        hostname "$1"; echo "$1" >/etc/hostname
        cp -a /stage/root/. /
        useradd -u 4711 -m -s /bin/bash notes
        mkdir -p /opt/hcl
        if [ -e /local/notesdata ]; then
            # The second one brings programs, the data are there already.
            /stage/standin install /opt/hcl/domino /tmp/unused --owner 4711:4711
            printf /local/notesdata >/opt/hcl/domino/standin.data
        else
            /stage/standin install /opt/hcl/domino /local/notesdata --owner 4711:4711 --port 1352
        fi
        printf "DOMINO_PID_FILE=/run/notes/domino.pid\nDOMINO_SETTLE_SECONDS=0.2\n" >>/etc/sysconfig/rc_domino_config
        rm -f /etc/systemd/system/domino*.service; systemctl daemon-reload
        cat >/etc/corosync/corosync.conf <<END
totem {
    version: 2
    cluster_name: lab
    transport: knet
    crypto_cipher: none
    crypto_hash: none
    token: 3000
}
nodelist {
    node {
        name: node1
        nodeid: 1
        ring0_addr: 10.99.0.1
    }
    node {
        name: node2
        nodeid: 2
        ring0_addr: 10.99.0.2
    }
}
quorum {
    provider: corosync_votequorum
    two_node: 1
    wait_for_all: 0
}
logging {
    to_syslog: yes
}
END
    ' sh "$1" "$2" || fail "$1 could not be set up"
}
both_online() { on "$1" crm_mon -1 2>/dev/null | grep -q 'Online: \[ node1 node2 \]'; }
shared_mode() {
    printf '%s\n' "$@" >"$STATE/shared/notesdata/standin.mode"
    chown 4711:4711 "$STATE/shared/notesdata/standin.mode"
}
# Server processes on a node; none prints nothing.
servers() {
    on "$1" sh -c 'for exe in /proc/[0-9]*/exe; do
        case $(readlink "$exe") in /opt/hcl/domino/*/linux/server)
            pid=${exe%/exe}
            [ "$(tr "\0" " " <"$pid/cmdline" | wc -w)" = 1 ] && echo "${pid#/proc/}" ;;
        esac
    done' 2>/dev/null
}
runs_on() { [ -n "$(servers "$1")" ]; }
alone_on() { runs_on "$1" && ! runs_on "$2"; }
settled() { on "$1" timeout 90 crm_resource --wait; }
# The witness: it looks all the time and never may see two.
watch_for_two() {
    while sleep 0.5; do
        if runs_on node1 && runs_on node2; then
            echo two >>"$STATE/two-servers"
        fi
    done
}
left_on() {
    on "$1" sh -c '
        for exe in /proc/[0-9]*/exe; do
            case $(readlink "$exe") in /opt/hcl/domino/*) echo "process ${exe%/exe}" ;; esac
        done
        cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg | awk "\$1 ~ /^[0-9]/ && / 4711 / {print \"ipc\", \$0}"'
}
nothing_on() {
    local left
    left=$(left_on "$1")
    [ -z "$left" ] || fail "left on $1: $left"
}
tell() { on "$1" crm_mon -1rf 2>&1 | tail -n 25; on "$1" journalctl --no-pager -n 40 -o cat -u pacemaker | tail -n 40; }
fail() {
    echo "FAILED: $*" >&2
    tell node1 >&2
    tell node2 >&2
    exit 1
}

began=$SECONDS
echo "=== two nodes"
node node1 1
node node2 2

echo "=== ocf-tester, on a node of no cluster yet"
on node1 ocf-tester -n dom -o user=notes /usr/lib/ocf/resource.d/nashcom/domino >"$STATE/said" 2>&1 ||
    fail "$(cat "$STATE/said")"
said "passed all tests"
nothing_on node1

echo "=== two hosts, one data directory, no cluster"
code 0 on node1 rc_domino start
code 1 on node2 rc_domino start
said "on host node1"
code 1 on node2 rc_domino start --take-over
# Nothing runs on this one, but no snapshot of these data would be good.
code 1 on node2 rc_domino stop
said "on host node1"
code 0 on node2 rc_domino ocf stop
code 0 on node1 rc_domino stop
code 0 on node2 rc_domino start
code 1 on node1 rc_domino start
code 0 on node2 rc_domino stop
for round in 1 2 3 4 5; do
    on node1 rc_domino start >"$STATE/one" 2>&1 &
    one=$!
    on node2 rc_domino start >"$STATE/other" 2>&1 &
    other=$!
    wait $one
    first=$?
    wait $other
    second=$?
    case $first$second in 01 | 10) ;; *) fail "both started at once: $first and $second" ;; esac
    alone_on node1 node2 || alone_on node2 node1 || fail "not one server in round $round"
    on node1 rc_domino ocf stop >/dev/null 2>&1
    on node2 rc_domino ocf stop >/dev/null 2>&1
done
note "five races: one server each"

echo "=== the cluster"
on node1 systemctl start --no-block corosync pacemaker
on node2 systemctl start --no-block corosync pacemaker
wait_for 60 both_online node1
on node1 pcs property set stonith-enabled=false || fail "pcs"
on node1 pcs resource create dom ocf:nashcom:domino user=notes \
    op start timeout=60s op stop timeout=60s op monitor interval=2s timeout=20s \
    op monitor interval=11s timeout=20s OCF_CHECK_LEVEL=10 \
    op monitor interval=13s timeout=20s OCF_CHECK_LEVEL=20 >/dev/null || fail "pcs resource create"
settled node1
note "up in $((SECONDS - began)) s"
if runs_on node1; then here_=node1 there=node2; else here_=node2 there=node1; fi
alone_on $here_ $there || fail "not one server after the start"
watch_for_two &
background+=($!)
on $here_ test -s /run/notes/domino.pid || fail "the pid file has no directory"

# ends_well SECONDS: the server runs again, on either node.
comes_back() { [ -n "$(servers $here_)$(servers $there)" ]; }

echo "=== SIGKILL of the server"
pid=$(servers $here_)
on $here_ kill -KILL "$pid"
other_pid() { local now; now=$(servers $here_)$(servers $there); [ -n "$now" ] && [ "$now" != "$pid" ]; }
wait_for 60 other_pid
settled node1
wait_for 10 alone_on $here_ $there
note "recovered on $here_"

echo "=== SIGKILL of everything of it"
pid=$(servers $here_)
# shellcheck disable=SC2046
on $here_ kill -KILL $(left_on $here_ | sed -n 's#process /proc/##p')
wait_for 60 other_pid
settled node1
wait_for 10 alone_on $here_ $there
on $here_ test -n "$(on node1 crm_mon -1f | grep 'fail-count')" || fail "no failure was counted"
on node1 crm_resource --cleanup -r dom >/dev/null 2>&1
settled node1

echo "=== standby: it moves"
moved=$SECONDS
on node1 pcs node standby $here_
wait_for 60 alone_on $there $here_
settled node1
nothing_on $here_
grep -q 'Server shutdown complete' "$STATE"/shared/notesdata/notes.log* "$STATE"/shared/notesdata/*.log 2>/dev/null ||
    zgrep -q 'Server shutdown complete' "$STATE"/shared/notesdata/*.log.gz || fail "it was not shut down cleanly"
note "moved to $there in $((SECONDS - moved)) s"
on node1 pcs node unstandby $here_
settled node1
swap=$here_ here_=$there there=$swap
alone_on $here_ $there || fail "it did not stay"

echo "=== by hand beside the cluster"
code 1 on $there rc_domino start
said "on host $here_"

echo "=== what moves no server: a typing error, a directory service that is down, a freeze"
stays() {
    sleep 8
    alone_on $here_ $there || fail "moved by $1"
    [ "$(servers $here_)" = "$pid" ] || fail "restarted by $1"
    on node1 crm_mon -1 | grep -q FAILED && fail "failed by $1"
}
pid=$(servers $here_)
config=/etc/sysconfig/rc_domino_config
on $here_ sh -c "cp -p $config /root/config; echo LOTUS=/opt/hcl/domnio >>$config"
sleep 6 # For one of each depth.
stays "a wrong LOTUS"
code 1 on $here_ rc_domino ocf stop
said "runs on"
on $here_ cp -p /root/config $config
on $here_ sh -c 'cp -p /etc/passwd /root/passwd; sed -i /^notes:/d /etc/passwd'
stays "a user who cannot be looked up"
code 1 on $here_ rc_domino ocf stop
on $here_ cp -p /root/passwd /etc/passwd
code 0 on $here_ rc_domino snapshot freeze
sleep 8
comes_back && fail "started while it was frozen"
code 0 on $here_ rc_domino snapshot thaw
wait_for 20 alone_on $here_ $there
on node1 crm_mon -1 | grep -q FAILED && fail "failed by a freeze"

echo "=== a shutdown that hangs, longer than the cluster waits: failed, not moved"
shared_mode ignore_quit=1
on node1 pcs resource update dom op stop timeout=6s
on node1 pcs resource op remove dom stop timeout=60s >/dev/null 2>&1
settled node1
on node1 pcs node standby $here_
is_blocked() { on node1 crm_mon -1 | grep -qE 'dom.*(FAILED|blocked)'; }
wait_for 40 is_blocked
sleep 5
alone_on $here_ $there || fail "a server that was not stopped was started on the other node"
on node1 crm_mon -1 | grep -E ' dom' | sed 's/^/  /'

echo "=== the same with shutdown_timeout: by force, and moved"
on node1 pcs resource update dom shutdown_timeout=2 op stop timeout=60s
shared_mode ignore_quit=1
on node1 crm_resource --cleanup -r dom >/dev/null 2>&1
wait_for 60 alone_on $there $here_
settled node1
nothing_on $here_
on $here_ journalctl --no-pager -o cat | grep -q 'stopped by force' || fail "the force was not logged"
shared_mode ''
on node1 pcs node unstandby $here_
settled node1
swap=$here_ here_=$there there=$swap

echo "=== the same with fencing: the node is killed, the server comes up on the other"
# What a power switch is to real nodes: a request that the host below carries
# out. Nothing on the node is stopped, nothing is said.
for one in node1 node2; do
    on $one sh -c 'cat >/usr/sbin/fence_lab; chmod 755 /usr/sbin/fence_lab' <<'END'
#!/bin/sh
action=reboot
while read -r line; do
    case $line in
        action=*) action=${line#action=} ;;
        port=* | plug=* | nodename=*) node=${line#*=} ;;
    esac
done
case $action in
    metadata)
        cat <<XML
<?xml version="1.0"?>
<resource-agent name="fence_lab" shortdesc="the lab's power switch">
<longdesc>Asks the host of the lab to kill a node.</longdesc>
<vendor-url></vendor-url>
<parameters><parameter name="action"><content type="string" default="reboot"/></parameter>
<parameter name="port"><content type="string"/></parameter></parameters>
<actions><action name="on"/><action name="off"/><action name="reboot"/><action name="monitor"/><action name="metadata"/></actions>
</resource-agent>
XML
        ;;
    off | reboot)
        touch "/local/.fence-$node"
        for tries in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
            [ -e "/local/.fenced-$node" ] && exit 0
            sleep 1
        done
        exit 1
        ;;
esac
exit 0
END
done
power_switch() {
    local asked node leader
    while sleep 0.2; do
        for asked in "$STATE"/shared/.fence-*; do
            [ -e "$asked" ] || continue
            node=${asked##*/.fence-}
            leader=$(cat "$STATE/$(ct_of "$node").pid")
            kill -KILL "$leader"
            while [ -d "/proc/$leader" ]; do sleep 0.1; done
            touch "$STATE/shared/.fenced-$node"
            rm -f "$asked"
        done
    done
}
power_switch &
background+=($!)
on node1 pcs stonith create switch fence_lab pcmk_host_list='node1 node2' pcmk_host_check=static-list >/dev/null ||
    fail "pcs stonith create"
on node1 pcs property set stonith-enabled=true
on node1 pcs resource update dom shutdown_timeout= take_over=true op stop timeout=6s
settled node1
alone_on $here_ $there || fail "it did not stay"
shared_mode ignore_quit=1
fenced=$SECONDS
on node1 pcs node standby $here_
wait_for 90 runs_on $there
[ -e "$STATE/shared/.fenced-$here_" ] || fail "$here_ was not fenced"
note "$here_ was fenced, its server runs on $there after $((SECONDS - fenced)) s"
[ ! -e "$STATE/two-servers" ] || fail "two servers ran on one data directory at a time"
echo "passed in $((SECONDS - began)) s; never two servers"
