"""The cases: what a host does, and what must be seen then."""

import os
import time

from host import AgentError, Machine
from trial import DATA, LOTUS, Failed, check

HOOK = "/etc/qemu/rc_domino-fsfreeze-hook"
CGROUP = "/sys/fs/cgroup/system.slice/qemu-guest-agent.service/cgroup.procs"


def frozen(trial):
    """What the agent says of the file systems."""
    return trial.agent.ask("guest-fsfreeze-status") == "frozen"


def agent_freeze(trial):
    """The host's freeze; how long it took."""
    began = time.monotonic()
    trial.agent.ask("guest-fsfreeze-freeze", timeout=180)
    return time.monotonic() - began


def agent_thaw(trial):
    """The host's thaw; how long it took."""
    began = time.monotonic()
    trial.agent.ask("guest-fsfreeze-thaw", timeout=180)
    return time.monotonic() - began


def refused_thaw(trial, code):
    """A thaw that our hook answers with this code; how long it took."""
    began = time.monotonic()
    try:
        agent_thaw(trial)
    except AgentError as cause:
        check(f"status {code}" in str(cause), f"the agent's thaw failed: {cause}")
        check(not frozen(trial), "file systems are still frozen after the thaw")
        return time.monotonic() - began
    raise Failed(f"the agent's thaw did not fail, with code {code}")


def freeze_snapshot_thaw(trial):
    """The agent freezes, the disk is copied, the agent thaws."""
    trial.mode("shutdown_delay=1")
    before = trial.server()
    froze = trial.usual = agent_freeze(trial)
    check(frozen(trial), "the agent's freeze succeeded and nothing is frozen")
    copy = trial.take_snapshot()
    thawed = agent_thaw(trial)
    after = trial.server()
    check(after is not None and after != before, f"after the thaw no new server runs: {before}, {after}")
    trial.only_one()
    trial.agent.must("rc_domino verify --wait=60")
    trial.finish_snapshot()
    found = trial.pages_in(copy)
    check(found == trial.pages, f"{trial.pages} pages were written, in the snapshot: {found}")
    check(trial.history()[-2:] == [("freeze", 0), ("thaw", 0)], f"the history has {trial.history()[-2:]}")
    # For the machine that is made of it below.
    os.replace(copy, trial.path("good.raw"))
    trial.note(f"{found} pages whole; freeze {froze:.1f} s of which 1 s is the server's, thaw {thawed:.1f} s")


def control_without_flush(trial):
    """The server ends, nobody flushes, the disk is copied at once: that the
    pages are missing then shows that this trial can see them missing."""
    trial.agent.must("systemctl stop domino.service")
    trial.mode()
    # Neither the unit nor rc_domino: both would flush.
    trial.agent.must(
        f"cd {DATA}; runuser -u notes -- setsid {LOTUS}/bin/server >/run/control.log 2>&1 </dev/null &"
        "sleep 1; for i in $(seq 100); do grep -qi 'started' /run/control.log && exit 0; sleep 0.1; done; exit 1"
    )
    trial.agent.must(
        f"cd {DATA}; runuser -u notes -- {LOTUS}/bin/server -q >/dev/null; "
        "for i in $(seq 300); do pgrep -u notes >/dev/null || exit 0; sleep 0.05; done; exit 1"
    )
    copy = trial.take_snapshot()
    trial.finish_snapshot()
    seen = trial.agent.must(f"standin pages {DATA}/pages.nsf").strip()
    check(seen.startswith(f"{trial.pages} pages"), f"in the guest: {seen}")
    found = trial.pages_in(copy)
    check(found != trial.pages, "the pages are all in the snapshot: this trial cannot see missing ones")
    trial.note(f"in the guest {seen}; in the snapshot: {found}")


def snapshot_after(trial, act, undo):
    """The disk is copied as soon as `act` is done, without a frozen file system."""
    trial.mode()
    act()
    copy = trial.take_snapshot()
    trial.finish_snapshot()
    undo()
    found = trial.pages_in(copy)
    check(found == trial.pages, f"{trial.pages} pages were written, in the snapshot: {found}")
    trial.note(f"{found} pages whole")


def flush_of_a_freeze(trial):
    """The control's counterpart: the product's flush alone."""
    snapshot_after(trial, trial.freeze, trial.thaw)
    trial.only_one()


def flush_of_a_stop(trial):
    """The same for a plain stop and start, as backup plans have them."""
    snapshot_after(
        trial,
        lambda: trial.agent.must("/etc/init.d/rc_domino stop"),
        lambda: trial.agent.must("/etc/init.d/rc_domino start"),
    )
    trial.only_one()


def freeze_fails(trial, before):
    """The agent's freeze must fail, freeze nothing, and leave a server."""
    began = time.monotonic()
    try:
        agent_freeze(trial)
        raise Failed("the agent's freeze succeeded")
    except AgentError as cause:
        trial.note(f"'{cause}' after {time.monotonic() - began:.1f} s")
    check(not frozen(trial), "file systems are frozen after a freeze that failed")
    took = trial.wait_for_server(60, but=before)
    trial.note(f"another server {took:.1f} s later")


def budget_spent(trial):
    """A shutdown that is longer than the hook's budget."""
    trial.agent.must("rc_domino snapshot install qemu --budget=3")
    try:
        trial.mode("shutdown_delay=10")
        freeze_fails(trial, trial.server())
        verbs = trial.history()[-2:]
        check(verbs[-1] in (("undo", 0), ("undo", 152)), f"the history has {verbs}")
        check(trial.journal("budget|undone|caller"), "the journal says nothing of it")
        # Some hosts thaw after a freeze that failed: no harm.
        pid = trial.server()
        refused_thaw(trial, 152)
        check(trial.server() == pid, "a thaw after a freeze that failed changed the server")
    finally:
        trial.agent.must("rc_domino snapshot install qemu")


def shutdown_hangs(trial):
    """A server that has to be killed has no whole databases."""
    trial.setting("DOMINO_SHUTDOWN_TIMEOUT", 4)
    trial.mode("ignore_quit=1")
    freeze_fails(trial, trial.server())
    check(("freeze", 150) in trial.history()[-3:], f"the history has {trial.history()[-3:]}")


def allow_downtime(trial):
    """Sets the dead man's switch to what a freeze is surely done in here, and
    little more: it counts from the freeze's beginning."""
    seconds = int(2 * trial.usual) + 3
    trial.setting("DOMINO_SNAPSHOT_MAX_DOWNTIME", seconds)
    return seconds


def no_thaw(trial):
    """The host never comes back: the server does, and the thaw that comes too
    late is told so."""
    allowed = allow_downtime(trial)
    trial.mode()
    before = trial.server()
    froze = trial.freeze()
    check(trial.server() is None, "a server runs while it is frozen")
    took = froze + trial.wait_for_server(allowed + 60, but=before)
    check(trial.journal("no thaw came"), "the journal does not say that no thaw came")
    pid = trial.server()
    trial.thaw(code=152)
    check(trial.server() == pid, "the late thaw changed the server")
    trial.note(f"server back {took:.1f} s after the freeze began, {allowed} s were allowed; journal says so; thaw 152")


def late_thaw_of_a_frozen_disk(trial):
    """As above, with the file systems frozen all the while: nothing can be
    written, so the server comes back when they are thawed."""
    allowed = allow_downtime(trial)
    trial.mode()
    before = trial.server()
    agent_freeze(trial)
    # The time counts from the hook's answer.
    time.sleep(allowed + 4)
    check(frozen(trial), "not frozen any more")
    thawed = refused_thaw(trial, 152)
    took = trial.wait_for_server(60, but=before)
    check(trial.journal("no thaw came"), "the journal does not say that no thaw came")
    trial.note(f"the agent's thaw failed with 152 after {thawed:.1f} s, server {took:.1f} s after it")


def nothing_in_the_agents_unit(trial):
    """What a hook starts lives elsewhere; the agent has a PrivateTmp here."""
    agent = trial.agent
    trial.mode()
    own = agent.must("readlink /proc/1/ns/mnt").strip()
    ours = agent.must("readlink /proc/self/ns/mnt").strip()
    check(own != ours, "the agent has no mount namespace of its own: there is nothing to be seen")
    check("qemu-guest-agent" in agent.must("cat /proc/self/cgroup"), "guest-exec is not in the agent's unit")

    def whereabouts(pids):
        for pid in pids:
            text = agent.must(f"cat /proc/{pid}/cgroup; readlink /proc/{pid}/ns/mnt; ls -l /proc/{pid}/fd; cat /proc/{pid}/comm")
            check("qemu-guest-agent" not in text, f"in the agent's unit: {pid}: {text}")
            check(own in text, f"in another mount namespace than PID 1: {pid}: {text}")
            check("virtio-ports" not in text and "vport" not in text, f"holds the agent's channel: {pid}: {text}")
        return len(pids)

    trial.freeze("--caller=qemu")
    keepers = agent.must("pgrep -f '__keeper'; :").split()
    # The shell that looks has the word in its own command line.
    keepers = [pid for pid in keepers if agent.run(f"grep -q rc_domino /proc/{pid}/comm")[0] == 0]
    check(len(keepers) == 1, f"{len(keepers)} keepers live")
    whereabouts(keepers)
    unit = agent.must(f"cat /proc/{keepers[0]}/cgroup").strip().rsplit("/", 1)[-1]
    left = agent.must(f"for p in $(cat {CGROUP}); do cat /proc/$p/comm 2>/dev/null; done; :").split()
    check(set(left) <= {"qemu-ga", "sh", "cat"}, f"in the agent's unit: {left}")
    trial.thaw("--caller=qemu")
    seen = whereabouts(agent.must("pgrep -u notes").split())
    check(agent.run("pgrep -f '[_]_keeper'")[0] == 1, "a keeper is left after the thaw")
    units = agent.must("systemctl list-units --all --no-legend 'rc_domino-snapshot*'").strip()
    check(not units, f"left of it: {units}")
    trial.note(f"keeper in {unit}; it and {seen} processes of the server outside the agent's unit and /tmp")


def kill_keeper(trial):
    """SIGKILL to the keeper's unit; the process that follows it."""
    unit = trial.agent.must(
        "systemctl list-units --no-legend --plain 'rc_domino-snapshot*' | cut -d ' ' -f 1"
    ).strip()
    check(unit.startswith("rc_domino-snapshot") and "\n" not in unit, f"the keeper's units: '{unit}'")
    show = f"systemctl show -P MainPID {unit}"
    first = trial.agent.must(show).strip()
    trial.agent.must(f"kill -9 {first}")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        second = trial.agent.must(show).strip()
        if second not in ("0", first):
            return unit
        time.sleep(0.1)
    raise Failed(f"systemd did not start {unit} again")


def keeper_killed(trial):
    """Killed while frozen, and while it freezes."""
    trial.mode()
    before = trial.server()
    trial.freeze()
    kill_keeper(trial)
    time.sleep(1)
    check(trial.server() is None, "the server came back before the thaw")
    trial.thaw()
    check(trial.server() not in (None, before), "no server after the thaw")
    trial.only_one()

    trial.mode("shutdown_delay=10")
    before = trial.server()
    freezing = trial.agent.begin("/usr/bin/rc_domino", "snapshot", "freeze")
    trial.agent.must(
        "for i in $(seq 300); do grep -q freezing /run/rc_domino/snapshot-*.json 2>/dev/null && exit 0; sleep 0.1; done; exit 1"
    )
    kill_keeper(trial)
    code, output = trial.agent.ended(freezing, 60, "rc_domino snapshot freeze")
    check(code == 152, f"the freeze whose keeper was killed answered {code}: {output.strip()}")
    trial.wait_for_server(60, but=before)
    trial.note("thaw 0 after a kill while frozen; 152 and a server after one while freezing")


def boot_id(trial):
    return trial.agent.must("cat /proc/sys/kernel/random/boot_id").strip()


def after_boot(trial, before):
    """The agent of another boot; server up, thaw 152, verify 0."""
    trial.until_agent(300, lambda: boot_id(trial) != before)
    trial.wait_for_server(90)
    trial.agent.must("rc_domino verify --wait=120", 150)
    pid = trial.server()
    trial.thaw(code=152)
    check(trial.server() == pid, "the thaw changed the server")
    code, state = trial.agent.run("rc_domino snapshot status")
    check(code == 3, f"snapshot status answers {code}: {state}")
    failed = trial.agent.must("systemctl list-units --failed --no-legend").strip()
    check(not failed, f"failed units: {failed}")


def rebooted_while_frozen(trial):
    """Somebody reboots the guest between freeze and thaw. From then on the
    agent is told of the hook on its command line, not by its file."""
    unit = "/etc/systemd/system/qemu-guest-agent.service.d/hook.conf"
    trial.mode()
    trial.agent.must(
        f"rc_domino snapshot uninstall qemu; printf '[Service]\\nExecStart=\\nExecStart=-/usr/sbin/qemu-ga -F{HOOK}\\n' >{unit}; "
        "systemctl daemon-reload; rc_domino snapshot install qemu"
    )
    before = boot_id(trial)
    trial.freeze()
    trial.agent.begin("/usr/bin/systemctl", "--no-block", "reboot")
    began = time.monotonic()
    after_boot(trial, before)
    took = time.monotonic() - began
    # systemd's word at the beginning, and the last one before the disk went.
    stamps = trial.agent.must("journalctl -b -1 -q --no-pager -o short-unix -u init.scope -g 'ebooting|hutting down'; "
                              "journalctl -b -1 -q --no-pager -o short-unix -n 1").split("\n")
    down = float(stamps[-2].split()[0]) - float(stamps[0].split()[0]) if len(stamps) > 2 else 0
    trial.note(f"server up and whole {took:.0f} s after the word; thaw 152; going down: {down:.1f} s")


def reset_while_frozen(trial):
    """The host resets the guest between freeze and thaw."""
    trial.mode()
    check(HOOK in trial.agent.must("pgrep -a qemu-ga"), "the agent was not told of the hook by its command line")
    trial.agent.must("! test -e /etc/qemu/qemu-ga.conf")
    before = boot_id(trial)
    agent_freeze(trial)
    check(frozen(trial), "nothing is frozen")
    trial.machine.monitor.ask("system_reset")
    began = time.monotonic()
    after_boot(trial, before)
    trial.note(f"server up and whole {time.monotonic() - began:.0f} s after the reset; thaw 152")


def snapshot_as_new_machine(trial):
    """The snapshot of the first case is booted beside its original."""
    good = trial.path("good.raw")
    check(os.path.exists(good), "there is no snapshot: the first case did not make one")
    machine = Machine(trial.folder, "restored", good, "raw")
    began = time.monotonic()
    agent = machine.start()
    try:
        agent.wait(240)
        code, output = agent.run("rc_domino verify --wait=120", 180)
        check(code == 0, f"verify answered {code}:\n{output}")
        took = time.monotonic() - began
        pages = agent.must(f"standin pages {DATA}/pages.nsf").strip()
        code, text = agent.run("rc_domino snapshot status")
        check(code == 3, f"snapshot status answers {code}: {text}")
        check(agent.run("systemctl is-active domino.service")[0] == 0, "domino.service is not active")
        trial.note(f"verify 0 {took:.0f} s after power on; {pages}")
    finally:
        machine.stop()
        os.unlink(good)


def limits_of(trial, pid):
    """What the kernel holds a process to: name, soft and hard limit."""
    lines = trial.agent.must(f"cat /proc/{pid}/limits").splitlines()[1:]
    return {line[:26].strip(): tuple(line[26:].split()[:2]) for line in lines}


def check_limits(trial, unit, files):
    """Every process of the server in this unit has the unit's limits."""
    agent = trial.agent
    pids = agent.must("pgrep -u notes").split()
    group = f"system.slice/{unit}"
    check(len(pids) > 1, f"processes of the server: {pids}")
    for pid in pids:
        found = limits_of(trial, pid)
        check(found["Max open files"] == (files, files), f"{unit}: {pid} may open {found['Max open files']} files")
        check(found["Max processes"] == ("8000", "8000"), f"{unit}: {pid} may have {found['Max processes']} processes")
        check(group in agent.must(f"cat /proc/{pid}/cgroup"), f"{pid} is not in {unit}")
    tasks = agent.must(f"cat /sys/fs/cgroup/{group}/pids.max").strip()
    check(tasks == "8000", f"{unit} may have {tasks} tasks")
    return len(pids)


def limits(trial):
    """What units and limits.conf say is what the server's processes have, and
    Domino's own bound of open files holds where a unit allows more."""
    agent = trial.agent
    trial.mode()
    bounded = "/etc/systemd/system/domino-notify.service.d/files.conf"
    try:
        agent.must("rc_domino restart")
        seen = check_limits(trial, "domino.service", "80000")
        agent.must("rc_domino stop")
        trial.setting("DOMINO_SYSTEMD_NAME", "domino-notify.service")
        agent.must("rc_domino start")
        seen += check_limits(trial, "domino-notify.service", "80000")
        agent.must("rc_domino check; rc_domino stop")
        # More than Domino can do with; only a kernel of one's own allows it.
        agent.must(
            "sysctl -qw fs.nr_open=3000000; mkdir -p $(dirname {0}); "
            "printf '[Service]\\nLimitNOFILE=infinity\\n' >{0}; systemctl daemon-reload; rc_domino start".format(bounded)
        )
        seen += check_limits(trial, "domino-notify.service", "1048576")
        agent.must("rc_domino stop")
        # Past systemd a login gives them.
        agent.must("printf 'notes - nofile 70000\\nnotes - nproc 7000\\n' >/etc/security/limits.d/notes.conf; rc_domino --direct start")
        found = limits_of(trial, trial.server())
        check(found["Max open files"] == ("70000", "70000"), f"by limits.conf: {found['Max open files']}")
        check(found["Max processes"] == ("7000", "7000"), f"by limits.conf: {found['Max processes']}")
        agent.must("rc_domino --direct stop")
    finally:
        trial.setting("DOMINO_SYSTEMD_NAME")
        agent.run(
            f"rc_domino --direct stop; rm -f {bounded} /etc/security/limits.d/notes.conf; "
            "sysctl -qw fs.nr_open=1048576; systemctl daemon-reload"
        )
    trial.note(f"{seen} processes of three servers in units, one of a login")


ALL = [
    ("freeze by the agent, snapshot, thaw", freeze_snapshot_thaw),
    ("control: without the flush pages are missing", control_without_flush),
    ("snapshot freeze alone flushes", flush_of_a_freeze),
    ("plain stop and start flush", flush_of_a_stop),
    ("a freeze over its budget fails the agent's", budget_spent),
    ("a hung shutdown fails the agent's freeze", shutdown_hangs),
    ("a host that never thaws", no_thaw),
    ("a thaw after the deadline, disk frozen", late_thaw_of_a_frozen_disk),
    ("nothing lives in the agent's unit", nothing_in_the_agents_unit),
    ("the keeper is killed", keeper_killed),
    ("limits", limits),
    ("rebooted while frozen", rebooted_while_frozen),
    ("reset while frozen", reset_while_frozen),
    ("the snapshot as a new machine", snapshot_as_new_machine),
]
