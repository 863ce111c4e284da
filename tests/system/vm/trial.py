"""The trial: installs the product in the guest, then every case, one line each."""

import json
import os
import signal
import subprocess
import sys
import time

import host
from host import AgentError, Machine, Snapshot, Trouble

DATA = "/local/notesdata"
LOTUS = "/opt/hcl/domino"
CONFIG = "/etc/sysconfig/rc_domino_config"
HISTORY = "/var/lib/rc_domino/history.jsonl"

INSTALL = f"""
set -e
tar --no-same-owner -xpf /dev/vdb -C /
standin install {LOTUS} {DATA} --owner $(id -u notes):$(id -g notes) --port 1352
mkdir -p /etc/systemd/system/qemu-guest-agent.service.d
# As open-vm-tools has it: what the agent starts has a /tmp of its own.
printf '[Service]\\nPrivateTmp=yes\\nLogLevelMax=notice\\n' >/etc/systemd/system/qemu-guest-agent.service.d/tmp.conf
systemctl daemon-reload
systemctl enable --now domino.service
rc_domino snapshot install qemu
"""


class Failed(Exception):
    """A case did not see what it had to see."""


def check(holds, text):
    """A case goes on only where this holds."""
    if not holds:
        raise Failed(text)


class Trial:
    """The guest, and what the cases share."""

    def __init__(self, folder):
        self.folder = folder
        disk = os.path.join(folder, "main.qcow2")
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", os.path.join(folder, "base.qcow2"),
             "-F", "qcow2", disk],
            check=True,
        )
        self.machine = Machine(folder, "main", disk, "qcow2", os.path.join(folder, "product.tar"))
        self.agent = None
        self.pages = 2000
        self.notes = []
        # What a freeze without a long shutdown takes on this host, in seconds.
        self.usual = 8.0

    def path(self, name):
        return os.path.join(self.folder, name)

    def note(self, text):
        """A figure or a sight for the case's line."""
        self.notes.append(text)

    # The guest.

    def begin(self):
        self.agent = self.machine.start()
        began = time.monotonic()
        self.agent.wait(300)
        code, state = self.agent.run("systemctl is-system-running --wait", 180)
        check(code == 0, f"the bare guest is not up but '{state.strip()}'")
        booted = time.monotonic() - began
        self.agent.must(INSTALL)
        self.restart_agent()
        self.note(f"booted in {booted:.0f} s")

    def restart_agent(self):
        """Through systemd: it ends what it has started itself."""
        show = "systemctl show -P MainPID qemu-guest-agent"
        before = self.agent.must(show).strip()
        self.agent.begin("/usr/bin/systemctl", "--no-block", "restart", "qemu-guest-agent")
        self.until_agent(120, lambda: self.agent.must(show).strip() not in ("0", before))

    def until_agent(self, seconds, holds):
        """Until this holds, of an agent that may go away meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.agent.wait(max(1, end - time.monotonic()))
            self.agent.patience = 5
            try:
                if holds():
                    return
            except (OSError, EOFError, ValueError, AgentError):
                pass
            finally:
                self.agent.patience = 60
            time.sleep(0.2)
        raise Trouble(f"no other guest agent within {seconds} s")

    def mode(self, *lines):
        """How the stand-in behaves from now on; it writes a number of pages of
        its own in each case, so that none of an earlier one can be taken for
        them, and the old ones are gone from the disk."""
        self.pages += 1
        lines = ["lifetime=86400", f"write_pages={self.pages}", *lines]
        text = "\\n".join(lines)
        self.agent.must(
            f"printf '{text}\\n' >{DATA}/standin.mode; chown notes: {DATA}/standin.mode; "
            f"rm -f {DATA}/pages.nsf; sync"
        )

    def setting(self, name, value=None):
        """A line of the configuration; none: the default again."""
        line = f"; echo '{name}={value}' >>{CONFIG}" if value is not None else ""
        self.agent.must(f"sed -i '/^{name}=/d' {CONFIG}{line}")

    def server(self):
        """The server's main process; none where it is down."""
        code, output = self.agent.run(f"pgrep -u notes -f '^{LOTUS}.*/server'; rc_domino status >/dev/null")
        pids = output.split()
        return int(pids[0]) if code == 0 and pids else None

    def wait_for_server(self, seconds, but=None):
        """Until a server runs that is another than `but`, and its unit is
        active; how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            pid = self.server()
            if pid is not None and pid != but:
                took = time.monotonic() - began
                self.only_one()
                return took
            time.sleep(0.3)
        raise Failed(f"no server within {seconds} s")

    def only_one(self):
        """One server, owned by its unit, which may just be coming up."""
        code, output = self.agent.run(
            "for i in $(seq 150); do systemctl -q is-active domino.service && "
            f"exec pgrep -c -u notes -f '^{LOTUS}.*/server( |$)'; sleep 0.2; done; systemctl status domino.service"
        )
        check(code == 0 and output.strip() == "1", f"not one server in its unit: {output.strip()}")

    def freeze(self, *options, code=0, timeout=120):
        """rc_domino snapshot freeze, as the agent's child; how long it took."""
        return self.snapshot_verb("freeze", options, code, timeout)

    def thaw(self, *options, code=0, timeout=120):
        """The same for thaw."""
        return self.snapshot_verb("thaw", options, code, timeout)

    def snapshot_verb(self, verb, options, wanted, timeout):
        began = time.monotonic()
        code, output = self.agent.run(f"rc_domino snapshot {verb} {' '.join(options)}", timeout)
        check(code == wanted, f"{verb} answered {code}, not {wanted}: {output.strip()}")
        return time.monotonic() - began

    def history(self):
        """What was frozen and thawed, as (verb, code)."""
        lines = self.agent.must(f"cat {HISTORY} 2>/dev/null || :").splitlines()
        return [(entry["verb"], entry["outcome"]) for entry in map(json.loads, lines)]

    def journal(self, words):
        """Whether the guest's journal of this boot has these words."""
        return self.agent.run(f"journalctl -b --no-pager -q -t rc_domino -g '{words}'")[0] == 0

    # The snapshots.

    def pages_in(self, snapshot):
        """The pages in a snapshot: how many, all whole; else what is wrong."""
        out = self.path("pages.out")
        if not Snapshot(snapshot).take_out(f"{DATA}/pages.nsf", out):
            return "no pages.nsf, or an empty one"
        standin = self.path("stage/usr/local/bin/standin")
        done = subprocess.run(
            [standin, "pages", out], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        text = done.stdout.decode(errors="replace").strip()
        return int(text.split()[0]) if done.returncode == 0 else text

    def take_snapshot(self):
        """The disk as it is now."""
        target = self.path("snapshot.raw")
        self.machine.monitor.snapshot(target)
        return target

    def finish_snapshot(self):
        self.machine.monitor.snapshot_done()

    def leave_quiet(self):
        """After a case, whatever came of it: thawed, an ordinary server up."""
        try:
            if self.agent.ask("guest-fsfreeze-status") == "frozen":
                try:
                    self.agent.ask("guest-fsfreeze-thaw", timeout=180)
                except AgentError as cause:
                    print(f"      thawing after it: {cause}")
            self.agent.must(
                "rc_domino snapshot abort >/dev/null; echo lifetime=86400 >{0}/standin.mode; "
                "sed -i -E '/^DOMINO_(SNAPSHOT_MAX_DOWNTIME|SHUTDOWN_TIMEOUT)=/d' {1}; "
                "systemctl reset-failed domino.service; systemctl start domino.service".format(DATA, CONFIG),
                180,
            )
            self.wait_for_server(60)
        except (Failed, Trouble, AgentError, OSError, EOFError) as cause:
            print(f"      after it: {cause}")

    def show_what_was(self):
        """For whoever looks into a failure."""
        target = self.path("failed.journal")
        try:
            text = self.agent.run(
                "journalctl -b --no-pager -n 200; ps -ef f; rc_domino snapshot history; journalctl -b -1 --no-pager -n 60",
                60,
            )[1]
            with open(target, "a", encoding="utf-8") as out:
                out.write(text)
            print(f"      the guest's journal: {target}; its console: {self.machine.console}")
        except (Trouble, AgentError, OSError, EOFError, ValueError) as cause:
            print(f"      the guest does not tell more: {cause}")


def one(trial, name, case):
    """Runs a case and prints its line; whether it passed."""
    trial.notes = []
    began = time.monotonic()
    try:
        case(trial)
        verdict, why = "PASS", ""
    except (Failed, Trouble, AgentError, OSError, EOFError, ValueError, subprocess.SubprocessError) as cause:
        verdict, why = "FAIL", f": {cause or type(cause).__name__}"
    notes = f" ({'; '.join(trial.notes)})" if trial.notes else ""
    print(f"{verdict}  {name}{notes}{why}  [{time.monotonic() - began:.1f} s]", flush=True)
    return verdict == "PASS"


def main(arguments):
    folder, wanted = arguments[0], arguments[1:]
    missing = host.missing_tools()
    if missing:
        print(f"NOT RUN: vm-test: missing: {' '.join(missing)}")
        return 77
    import cases  # after the classes it uses are there

    chosen = [(name, case) for name, case in cases.ALL if not wanted or any(word in name for word in wanted)]
    if not chosen:
        print(f"no case is named like {wanted}; there are: {', '.join(name for name, _ in cases.ALL)}")
        return 2
    log = os.path.join(folder, "failed.journal")
    if os.path.exists(log):
        os.unlink(log)
    # Whoever ends the trial ends the machine with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    trial = Trial(folder)
    failed = []
    try:
        if not one(trial, "the product is installed in the guest", Trial.begin):
            trial.show_what_was()
            return 1
        for name, case in chosen:
            if not one(trial, name, case):
                failed.append(name)
                trial.show_what_was()
            trial.leave_quiet()
    finally:
        trial.machine.stop()
        for name in ("main.qcow2", "snapshot.raw", "good.raw", "product.tar", "pages.out"):
            if os.path.exists(trial.path(name)):
                os.unlink(trial.path(name))
    if failed:
        print(f"FAILED: {len(failed)} of {len(chosen)} cases: {'; '.join(failed)}")
        return 1
    print(f"all {len(chosen)} cases passed")
    return 0


if __name__ == "__main__":
    sys.modules["trial"] = sys.modules["__main__"]
    sys.exit(main(sys.argv[1:]))
