#!/bin/bash
# The guest's side of vmware.sh: a host with Domino and VMware Tools, and the
# scenarios. Runs in a throwaway container only.
# shellcheck disable=SC2016,SC2317,SC2329 # scripts in quotes; functions called by name
set -u
[ -x /test/vmware-host ] || {
    echo "vmware-guest.sh: this belongs into the container of vmware.sh" >&2
    exit 2
}
scripts=/etc/vmware-tools/backupScripts.d
data=/local/notesdata
plugin=$(echo /usr/lib/*/open-vm-tools/plugins/vmsvc/libvmbackup.so)
failed=0
only=${1:-}

# --- the host -----------------------------------------------------------------
install -m 755 /test/rc_domino /usr/bin/rc_domino
install -m 755 /test/standin /usr/local/bin/standin
useradd --create-home --shell /bin/bash notes
mkdir -p /etc/sysconfig "$scripts" "${data%/*}"
standin install /opt/hcl/domino "$data" --owner "$(id -u notes):$(id -g notes)" || exit 2
cat >/etc/sysconfig/rc_domino_config <<END
LOTUS=/opt/hcl/domino
DOMINO_DATA_PATH=$data
DOMINO_CONFIGURED=yes
END
# No filesystem is frozen: it could be the host's.
printf '[vmbackup]\nenableSyncDriver=false\n' >/etc/vmware-tools/tools.conf

# --- helpers ------------------------------------------------------------------
now() { date +%s%N; }
is_up() { rc_domino status >/dev/null 2>&1; }
bad() { echo "    FAILED: $*"; good=no; }
# expect WHAT COMMAND... : the command must succeed.
expect() { local what=$1; shift; "$@" || bad "$what"; }
not() { ! "$@"; }
servers() { pgrep -u notes -x server | wc -l; }
one_server() { [ "$(servers)" = 1 ]; }
# Waits up to 20 seconds for a command to succeed.
soon() { for _ in $(seq 200); do "$@" && return; sleep 0.1; done; return 1; }
calls() { cat /tmp/calls 2>/dev/null; }
# A neighbour in the directory that notes its calls, and fails where told.
neighbour() {
    cat >"$scripts/$1" <<END
#!/bin/sh
echo "$1 \$*" >>/tmp/calls
${2:-}
END
    chmod 755 "$scripts/$1"
}
# quiesce OPTIONS... : what a host does that takes a quiesced snapshot.
quiesce() {
    /test/vmware-host "$plugin" "$@" >/tmp/talk 2>&1
    talk=$?
    sed 's/^/    /' /tmp/talk
}
# history_has VERB CODE
history_has() { grep -q "\"verb\":\"$1\".*\"outcome\":$2[,}]" /var/lib/rc_domino/history.jsonl 2>/dev/null; }

scenario() {
    good=yes name=$1
    [ -z "$only" ] || [[ $name == *$only* ]] || return 1
    echo "=== $name"
    rm -f "$scripts"/* /tmp/calls /tmp/pages /var/lib/rc_domino/history.jsonl
    rm -f "$data/standin.mode"
    rc_domino snapshot install vmware >/dev/null || bad "install"
    is_up || rc_domino start >/dev/null || bad "start"
    began=$(now)
}
over() {
    expect "exactly one server or none" test "$(servers)" -le 1
    [ "$good" = yes ] || { failed=1; sed 's/^/    /' /var/lib/rc_domino/history.jsonl 2>/dev/null; }
    echo "--- $name: $([ "$good" = yes ] && echo ok || echo FAILED), $((($(now) - began) / 1000000)) ms"
}

# --- scenarios ----------------------------------------------------------------
if scenario "success"; then
    printf 'write_pages=200\n' >"$data/standin.mode"
    neighbour 10-first
    quiesce -s 'pgrep -u notes -x server >/tmp/during; standin pages /local/notesdata/pages.nsf >/tmp/pages'
    expect "the host is told of success" test "$talk" = 0
    expect "no server ran while the snapshot was taken" test ! -s /tmp/during
    expect "the pages were whole by then" grep -q whole /tmp/pages
    expect "the neighbour was called in order" test "$(calls)" = $'10-first freeze\n10-first thaw'
    expect "the server is back" soon one_server
    expect "the history has both" history_has freeze 0
    expect "the history has both" history_has thaw 0
    over
fi

if scenario "a server that was down stays down"; then
    rc_domino stop >/dev/null
    quiesce
    expect "the host is told of success" test "$talk" = 0
    expect "no server" not is_up
    over
fi

if scenario "our script fails"; then
    # An own earlier script is told of it, ours is not: it has undone itself.
    neighbour 10-first
    printf 'crash_on_stop=yes\n' >"$data/standin.mode"
    quiesce
    expect "the host is told of failure" test "$talk" = 1
    expect "no snapshot was asked for" not grep -q snapshotCommit /tmp/talk
    expect "those before it were told" test "$(calls)" = $'10-first freeze\n10-first freezeFail'
    expect "the server is back by itself" soon one_server
    over
fi

if scenario "the budget runs out"; then
    printf 'shutdown_delay=4\n' >"$data/standin.mode"
    rc_domino snapshot install vmware --budget=1 >/dev/null || bad "install"
    quiesce
    expect "the host is told of failure" test "$talk" = 1
    expect "no snapshot was asked for" not grep -q snapshotCommit /tmp/talk
    rm -f "$data/standin.mode"
    expect "the freeze is undone" soon history_has undo 152
    expect "the server is back by itself" soon one_server
    over
fi

if scenario "another script fails after ours"; then
    neighbour 95-later '[ "$1" = freeze ] && exit 1'
    quiesce
    expect "the host is told of failure" test "$talk" = 1
    expect "no snapshot was asked for" not grep -q snapshotCommit /tmp/talk
    expect "the one that failed was not told" test "$(calls)" = '95-later freeze'
    expect "the server is back" soon one_server
    over
fi

if scenario "another script fails before ours"; then
    neighbour 10-first '[ "$1" = freeze ] && exit 1'
    pid=$(pgrep -u notes -x server)
    quiesce
    expect "the host is told of failure" test "$talk" = 1
    expect "the server was not touched" test "$(pgrep -u notes -x server)" = "$pid"
    over
fi

if scenario "abort once everything is frozen"; then
    neighbour 10-first
    quiesce -a frozen
    expect "the host is told of the abort" test "$talk" = 1
    expect "all were told" test "$(calls)" = $'10-first freeze\n10-first freezeFail'
    expect "the server is back" soon one_server
    over
fi

if scenario "abort while our freeze is under way"; then
    # The plug-in sends SIGTERM, and SIGKILL five seconds later.
    printf 'shutdown_delay=3\n' >"$data/standin.mode"
    quiesce -a 1
    expect "the host is told of the abort" test "$talk" = 1
    rm -f "$data/standin.mode"
    expect "the freeze is undone" soon history_has undo 152
    expect "the server is back by itself" soon one_server
    over
fi

if scenario "execScripts=false runs nothing, and install warns of it"; then
    printf '[vmbackup]\nenableSyncDriver=false\nexecScripts=false\n' >/etc/vmware-tools/tools.conf
    pid=$(pgrep -u notes -x server)
    quiesce
    expect "the plug-in calls it a success" test "$talk" = 0
    expect "the server was not touched" test "$(pgrep -u notes -x server)" = "$pid"
    rc_domino snapshot install vmware >/tmp/said 2>&1
    expect "install warns of it" grep -q 'execScripts=false' /tmp/said
    printf '[vmbackup]\nenableSyncDriver=false\n' >/etc/vmware-tools/tools.conf
    over
fi

if scenario "a file without its execute bit fails every freeze, and install warns of it"; then
    echo notes >"$scripts/00-README"
    pid=$(pgrep -u notes -x server)
    quiesce
    expect "the host is told of failure" test "$talk" = 1
    expect "the server was not touched" test "$(pgrep -u notes -x server)" = "$pid"
    rc_domino snapshot install vmware >/tmp/said 2>&1
    expect "install warns of it" grep -q '00-README' /tmp/said
    over
fi

if scenario "two servers"; then
    rc_domino --user root snapshot install vmware >/dev/null 2>&1 && bad "root is no Domino user"
    useradd mail2
    rc_domino --user mail2 snapshot install vmware >/dev/null || bad "install for another user"
    expect "a script each" test "$(cd "$scripts" && echo *)" = "90-rc_domino 90-rc_domino_mail2"
    rc_domino --user mail2 snapshot uninstall vmware >/dev/null
    expect "uninstall takes back his" test "$(cd "$scripts" && echo *)" = "90-rc_domino"
    over
fi

rc_domino stop >/dev/null
exit $failed
