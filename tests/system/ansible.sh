#!/bin/bash
# The Ansible role of contrib/ansible against containers with systemd: check
# mode, a first and a second run, a configuration that is refused, a rolling
# restart, one that stops at a host, and the facts. As root:
#   tests/system/ansible.sh
# ANSIBLE_ROOTFS names a Debian root file system with systemd, dbus, sudo and
# python3; without it one is made with mmdebstrap and kept under /var/tmp.
# PROGRAM and STANDIN name other binaries than cargo's, SCRATCH another place
# than /var/tmp. Ends with 77 where it cannot run here.
# shellcheck disable=SC2016
# (Single quotes are for the shell in the container.)
SUITE='ansible test'
# shellcheck source=tests/system/driver.sh
. "$(dirname "$0")/driver.sh"
need 'ansible-playbook:pip install ansible-core, in a venv'
root_file_system "${ANSIBLE_ROOTFS:-}" ansible-rootfs iproute2,sudo,python3
programs
workshop ansible
CT=an-1-$$
hosts=("an-1-$$" "an-2-$$" "an-3-$$")
export CT

# What Ansible takes for ssh: the last two arguments are host and command.
cat >"$STATE/ssh" <<'END'
#!/bin/bash
[ $# -gt 2 ] || exit 1
leader=$(cat "${0%/*}/${*: -2:1}.pid" 2>/dev/null) || exit 255
exec nsenter -t "$leader" -a -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LANG=C.UTF-8 sh -c "${*: -1}"
END
chmod 755 "$STATE/ssh"
{
    printf 'domino:\n  hosts:\n'
    printf '    %s:\n' "${hosts[@]}"
    cat <<END
  vars:
    ansible_user: root
    ansible_ssh_executable: $STATE/ssh
    ansible_ssh_transfer_method: piped
    ansible_python_interpreter: /usr/bin/python3
    rc_domino_binary: $PROGRAM
    rc_domino_unit: notify
    rc_domino_started: true
    rc_domino_restart_wait: 30
    rc_domino_config:
      DOMINO_SETTLE_SECONDS: 0.2
      DOMINO_NSD_BEFORE_KILL: true
      DOMINO_PRE_SHUTDOWN_COMMAND: it's "show \$HOME" \`id\`
    rc_domino_servers:
      - user: notes
        config: {DOMINO_DATA_PATH: /local/notesdata}
END
} >"$STATE/hosts.yml"
# The second host: the forking unit, and a partition.
mkdir "$STATE/host_vars"
cat >"$STATE/host_vars/${hosts[1]}.yml" <<'END'
rc_domino_unit: forking
rc_domino_servers:
  - user: notes
    config: {DOMINO_DATA_PATH: /local/notesdata}
  - user: app
    config: {LOTUS: /opt/hcl/app, DOMINO_DATA_PATH: /local/app}
END
: >"$STATE/ansible.cfg"
export ANSIBLE_CONFIG=$STATE/ansible.cfg ANSIBLE_HOME=$STATE/home ANSIBLE_NOCOLOR=1
export ANSIBLE_DISPLAY_SKIPPED_HOSTS=0 ANSIBLE_FORKS=3 ANSIBLE_SSH_RETRIES=0 ANSIBLE_PIPELINING=1
playbook() {
    local name=$1
    shift
    ansible-playbook -i "$STATE/hosts.yml" "contrib/ansible/$name.yml" "$@" >"$STATE/$name.log" 2>&1
}
# played NAME ARGUMENTS: it succeeds.
played() { playbook "$@" || fail "$1.yml: $(tail -n 60 "$STATE/$1.log")"; }
# recap HOST: its line of figures.
recap() { sed -n "/^PLAY RECAP/,\$s/^$1 *: //p" "$STATE/$2.log"; }
pid_of() { in_container "$1" rc_domino --user "${2:-notes}" status --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -n 1; }

echo "=== three containers"
for host in "${hosts[@]}"; do
    up "$host"
    in_container "$host" sh -eu -c '
        useradd -m -s /bin/bash notes
        useradd -m -s /bin/bash app
        mkdir -p /opt/hcl /local
        /stage/standin install /opt/hcl/domino /local/notesdata --owner "$(id -u notes):$(id -g notes)" --port 1352
        /stage/standin install /opt/hcl/app /local/app --owner "$(id -u app):$(id -g app)" --port 1353
        echo TCPIP_TcpIpAddress=0,127.0.0.1:1353 >>/local/app/notes.ini
    ' || fail "$host could not be prepared"
done
# It has been the original's host.
site=${hosts[1]}
in_container "$site" sh -eu -c '
    mkdir -p /etc/sysconfig /opt/nashcom/startscript
    printf "# ours\nDOMINO_CONFIGURED=yes\nDOMINO_SETTLE_SECONDS=0.3\n" >/etc/sysconfig/rc_domino_config
    printf "#!/bin/bash\n# the original\n" >/opt/nashcom/startscript/rc_domino_script
    printf "#!/bin/bash\necho original >&2\nexit 9\n" >/usr/bin/rc_domino
    chmod 755 /usr/bin/rc_domino
    ln -s /opt/nashcom/startscript/rc_domino_script /usr/bin/domino'

echo "=== check mode on hosts that have nothing"
played install --check
in_container "${hosts[0]}" test ! -e /usr/bin/rc_domino || fail "a check installed the program"

# A unit of an earlier version.
older=/etc/systemd/system/domino-notify@.service
in_container "$site" sh -eu -c 'cp "/stage/root$1" "$1"; echo "# earlier" >>"$1"' sh $older

echo "=== first run"
played install
grep -q 'left as they are: domino-notify@.service' "$STATE/install.log" || fail "not said: a unit stays"
in_container "$site" grep -qx '# earlier' $older || fail "the site's unit was replaced"
in_container "$site" cmp /stage/root$older $older.new || fail "the new unit does not lie beside it"
[ "$(in_container "$site" sh -c 'ls /etc/systemd/system/*.new | wc -l')" = 1 ] || fail "more than one .new"
for host in "${hosts[@]}"; do
    note "$host: $(recap "$host" install)"
    code 0 in_container "$host" rc_domino status
    in_container "$host" rc_domino verify --wait=30 >"$STATE/said" || fail "$host: $(cat "$STATE/said")"
done
for pair in "${hosts[0]}:domino-notify.service" "$site:domino.service" "$site:domino@app.service"; do
    CT=${pair%%:*}
    unit=${pair#*:}
    [ "$(ct systemctl is-enabled "$unit")" = enabled ] || fail "$unit is not enabled in $CT"
    state_is "$unit" active
    case $unit in *@*) ;; *) [ "$(property rc_domino.service Id)" = "$unit" ] || fail "rc_domino.service is not $unit in $CT" ;; esac
done
CT=$site
ct grep -qx '# ours' /etc/sysconfig/rc_domino_config || fail "the site's configuration was replaced"
[ "$(ct ls /opt/nashcom/startscript/replaced | tr '\n' ' ')" = 'bin-rc_domino startscript-rc_domino_script ' ] ||
    fail "of the original was kept: $(ct ls /opt/nashcom/startscript/replaced)"
code 0 ct rc_domino check
CT=${hosts[0]}
code 0 ct rc_domino check
# What is written is what is read, whatever is in it.
ct rc_domino listcfg --effective --json >"$STATE/said"
said '"value": "it'"'"'s \"show $HOME\" `id`"'

echo "=== second run"
played install
for host in "${hosts[@]}"; do
    note "$host: $(recap "$host" install)"
    case $(recap "$host" install) in *changed=0*) ;; *) fail "the second run changed $host: $(grep -B 20 ^changed: "$STATE/install.log")" ;; esac
done
played install --check --diff
for host in "${hosts[@]}"; do
    case $(recap "$host" install) in *changed=0*) ;; *) fail "check mode would change $host" ;; esac
done

echo "=== a configuration that is wrong does not take effect"
ct sha256sum /etc/sysconfig/rc_domino_config >"$STATE/before"
playbook install --limit "$CT" -e '{"rc_domino_config": {"DOMINO_SHUTDOWN_TIMEOUT": "soon"}}' && fail "it was taken"
grep -q DOMINO_SHUTDOWN_TIMEOUT "$STATE/install.log" || fail "$(tail -n 30 "$STATE/install.log")"
note "$(grep -oE 'rc_domino: [^"\\]*DOMINO_SHUTDOWN_TIMEOUT[^"\\]*' "$STATE/install.log" | head -n 1)"
ct sha256sum -c <"$STATE/before" >/dev/null || fail "the file has changed"

echo "=== a change, and the site's own file replaced because that is asked for"
played install -e '{"rc_domino_config": {"DOMINO_SETTLE_SECONDS": 0.4}, "rc_domino_replace_config": true}'
CT=$site
code 0 ct sh -c 'grep -qx "# ours" /etc/sysconfig/rc_domino_config.*~'
for CT in "${hosts[@]}"; do
    ct rc_domino listcfg --effective --json | grep -A 8 DOMINO_SETTLE_SECONDS | grep -q '"value": "0.4"' ||
        fail "$CT has not got the setting"
done

echo "=== facts"
played status
for host in "${hosts[@]}"; do
    grep -q "notes: running, pid $(pid_of "$host")," "$STATE/status.log" || fail "no fact of $host: $(cat "$STATE/status.log")"
done
grep -q "app: running, pid $(pid_of "$site" app)," "$STATE/status.log" || fail "no fact of the partition"
grep -E 'notes: |app: ' "$STATE/status.log" | sed 's/^ */  /'

echo "=== a server that cannot be asked is shown, and no play breaks"
CT=$site
ct sh -c 'echo DOMINO_CONFIGURED=yes >/etc/sysconfig/rc_domino_config_gone'
played status
grep -q 'gone: unknown, not configured' "$STATE/status.log" || fail "not shown: $(cat "$STATE/status.log")"
cat >"$STATE/running.yml" <<'END'
- hosts: domino
  gather_facts: false
  tasks:
    - ansible.builtin.setup: {gather_subset: ["!all", "!min", local]}
    - ansible.builtin.debug:
        msg: "up: {{ ansible_local.rc_domino.servers | selectattr('running') | map(attribute='user') | join(' ') }}"
END
ansible-playbook -i "$STATE/hosts.yml" "$STATE/running.yml" >"$STATE/running.log" 2>&1 || fail "$(cat "$STATE/running.log")"
grep -q '"up: notes app"' "$STATE/running.log" || fail "$(cat "$STATE/running.log")"
ct rm /etc/sysconfig/rc_domino_config_gone

pids() { for host in "${hosts[@]}"; do pid_of "$host"; done; pid_of "$site" app; }

echo "=== rolling restart"
mapfile -t before < <(pids)
played rolling-restart --check
mapfile -t after < <(pids)
[ "${before[*]}" = "${after[*]}" ] || fail "check mode restarted a server"
played rolling-restart
mapfile -t after < <(pids)
for index in 0 1 2 3; do
    [ "${before[index]}" != "${after[index]}" ] || fail "a server was not restarted: ${before[*]}, ${after[*]}"
done
note "pids ${before[*]} became ${after[*]}"

echo "=== a host whose verify fails ends it"
CT=$site
ct sh -c 'echo DOMINO_VERIFY_TASKS=traveler >>/etc/sysconfig/rc_domino_config_notes'
mapfile -t before < <(pids)
playbook rolling-restart -e rc_domino_restart_wait=3 && fail "the roll-out went on"
mapfile -t after < <(pids)
grep -E '^(fatal|failed)' "$STATE/rolling-restart.log" | cut -c 1-150 | sed 's/^/  /'
[ "${before[0]}" != "${after[0]}" ] || fail "the first host was left out"
[ "${before[1]}" != "${after[1]}" ] || fail "the second host was left out"
[ "${before[2]}" = "${after[2]}" ] || fail "the third host was restarted"
[ "${before[3]}" = "${after[3]}" ] || fail "the partition after the failure was restarted"
grep -q traveler "$STATE/rolling-restart.log" || fail "it is not told why: $(cat "$STATE/rolling-restart.log")"

echo "=== another kind of unit, while the server runs"
played install --limit "$site" -e '{"rc_domino_unit": "notify", "rc_domino_replace_units": true}'
ct cmp /stage/root$older $older || fail "the unit was not replaced"
[ "$(ct systemctl is-enabled domino.service domino@app.service domino-notify.service domino-notify@app.service | tr '\n' ' ')" = \
    'disabled disabled enabled enabled ' ] || fail "the units are not switched"
[ "$(pid_of "$site")" = "${after[1]}" ] || fail "the role restarted the server"
played rolling-restart --limit "$site"
for unit in domino-notify.service domino-notify@app.service; do state_is $unit active; done
for unit in domino.service domino@app.service; do state_is $unit inactive; done
[ "$(property rc_domino.service Id)" = domino-notify.service ] || fail "rc_domino.service is $(property rc_domino.service Id)"

echo "=== a host that cannot be reached ends it"
mapfile -t before < <(pids)
mv "$STATE/$site.pid" "$STATE/away"
playbook rolling-restart && fail "the roll-out went on"
mv "$STATE/away" "$STATE/$site.pid"
mapfile -t after < <(pids)
[ "${before[0]}" != "${after[0]}" ] || fail "the first host was left out"
[ "${before[*]:1}" = "${after[*]:1}" ] || fail "another host was restarted"

echo "=== a server that is down and should run ends it"
CT=${hosts[0]}
code 0 ct rc_domino stop
mapfile -t before < <(pids)
playbook rolling-restart && fail "the roll-out went on"
grep -q 'is down and should run' "$STATE/rolling-restart.log" || fail "it is not told why: $(cat "$STATE/rolling-restart.log")"
playbook rolling-restart -e rc_domino_started=false && fail "the roll-out went on past a unit that is enabled"
grep -q 'is down and should run' "$STATE/rolling-restart.log" || fail "another reason: $(cat "$STATE/rolling-restart.log")"
mapfile -t after < <(pids)
[ "${before[*]}" = "${after[*]}" ] || fail "another host was restarted"

echo "=== one that is down and meant to be stays down"
ct systemctl disable domino-notify.service
first=$(pid_of "${hosts[2]}")
played rolling-restart -e rc_domino_started=false --limit "$CT,${hosts[2]}"
code 3 ct rc_domino status
[ "$first" != "$(pid_of "${hosts[2]}")" ] || fail "the next host was left out"

echo "ansible test passed, $SECONDS s"
