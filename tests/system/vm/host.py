"""The host's side: a virtual machine under QEMU, its guest agent, its monitor.

What a backup product on a hypervisor does, with the standard library alone.
"""

import base64
import json
import os
import random
import shutil
import socket
import subprocess
import time


class Trouble(Exception):
    """What the trial cannot go on with."""


class AgentError(Exception):
    """The guest agent refused a command."""


class Lines:
    """JSON objects, one a line, over a Unix socket."""

    def __init__(self, path, timeout):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.rest = b""

    def close(self):
        self.socket.close()

    def send(self, words, before=b""):
        self.socket.sendall(before + json.dumps(words).encode() + b"\n")

    def read(self):
        while b"\n" not in self.rest:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        # 0xff is the agent's mark before the answer to a synchronisation.
        return json.loads(line.lstrip(b"\xff"))


class Agent:
    """qemu-guest-agent: one connection for each command."""

    def __init__(self, path):
        self.path = path
        # How long an answer may take, in seconds.
        self.patience = 60

    def ask(self, name, timeout=None, **arguments):
        """The agent's answer; AgentError where it refuses."""
        line = Lines(self.path, timeout or self.patience)
        try:
            number = random.randrange(1 << 30)
            line.send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, b"\xff")
            while True:
                try:
                    if line.read().get("return") == number:
                        break
                except ValueError:
                    pass  # left over from an earlier conversation
            line.send({"execute": name, "arguments": arguments} if arguments else {"execute": name})
            answer = line.read()
        finally:
            line.close()
        if "error" in answer:
            raise AgentError(answer["error"].get("desc", str(answer["error"])))
        return answer["return"]

    def wait(self, seconds):
        """Until the agent answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                return self.ask("guest-ping", timeout=2)
            except (OSError, EOFError, ValueError, AgentError):
                time.sleep(0.1)
        raise Trouble(f"the guest agent does not answer within {seconds} s")

    def run(self, command, timeout=120):
        """A shell command in the guest: code (128+n for signal n), output."""
        return self.ended(self.begin("/bin/sh", "-c", f"exec 2>&1\n{command}"), timeout, command)

    def begin(self, *words):
        """Starts a program in the guest; its process."""
        return self.ask(
            "guest-exec", path=words[0], arg=list(words[1:]), **{"capture-output": True}
        )["pid"]

    def ended(self, pid, timeout, command):
        """The end of what was started: code, output."""
        end = time.monotonic() + timeout
        pause = 0.03
        while time.monotonic() < end:
            state = self.ask("guest-exec-status", pid=pid)
            if state["exited"]:
                output = base64.b64decode(state.get("out-data", "")).decode(errors="replace")
                return state.get("exitcode", 128 + state.get("signal", 0)), output
            time.sleep(pause)
            pause = min(2 * pause, 0.5)
        raise Trouble(f"in the guest, not ended within {timeout} s: {command}")

    def must(self, command, timeout=120):
        """A command that has to succeed; its output."""
        code, output = self.run(command, timeout)
        if code:
            raise Trouble(f"in the guest, code {code}: {command}\n{output}")
        return output


class Monitor:
    """QEMU's monitor protocol."""

    def __init__(self, path):
        self.line = Lines(path, 120)
        self.line.read()
        self.ask("qmp_capabilities")

    def answer(self):
        while True:
            heard = self.line.read()
            if "return" in heard:
                return heard["return"]
            if "error" in heard:
                raise Trouble(f"QEMU's monitor: {heard['error'].get('desc')}")

    def ask(self, name, **arguments):
        self.line.send({"execute": name, "arguments": arguments})
        return self.answer()

    def snapshot(self, target):
        """Begins a copy of the disk as it is at this moment."""
        if os.path.exists(target):
            os.unlink(target)
        arguments = {"job-id": "copy", "device": "hd0", "target": target, "format": "raw", "sync": "full"}
        self.ask("drive-backup", **arguments)

    def snapshot_done(self):
        """Waits until the copy begun is complete."""
        while True:
            heard = self.line.read()
            if heard.get("event") == "BLOCK_JOB_COMPLETED":
                if "error" in heard["data"]:
                    raise Trouble(f"copying the disk: {heard['data']['error']}")
                return
            if heard.get("event") == "BLOCK_JOB_ERROR":
                raise Trouble("copying the disk failed: is there space?")


class Machine:
    """A virtual machine with one disk; `extra` is a raw one that it may read."""

    def __init__(self, folder, name, disk, form, extra=None):
        self.folder, self.name, self.disk, self.form, self.extra = folder, name, disk, form, extra
        self.process = self.monitor = None
        self.console = self.path("console")

    def path(self, what):
        return os.path.join(self.folder, f"{self.name}.{what}")

    def start(self):
        for what in ("agent", "monitor"):
            if os.path.exists(self.path(what)):
                os.unlink(self.path(what))
        drives = [f"if=none,id=hd0,file={self.disk},format={self.form},cache=unsafe,discard=unmap"]
        devices = ["virtio-blk-pci,drive=hd0"]
        if self.extra:
            drives.append(f"if=none,id=hd1,file={self.extra},format=raw,readonly=on")
            devices.append("virtio-blk-pci,drive=hd1")
        words = ["qemu-system-x86_64", "-name", self.name, "-machine", "q35"]
        # A guest does not start on every host that has /dev/kvm.
        if os.environ.get("VM_TEST_KVM") == "1":
            words += ["-accel", "kvm", "-cpu", "host"]
        else:
            words += ["-accel", "tcg,thread=multi", "-cpu", "max"]
        words += ["-smp", "2", "-m", "768", "-nodefaults", "-display", "none"]
        words += ["-kernel", os.path.join(self.folder, "vmlinuz")]
        words += ["-initrd", os.path.join(self.folder, "initrd.img")]
        words += ["-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off cryptomgr.notests"]
        for drive, device in zip(drives, devices):
            words += ["-drive", drive, "-device", device]
        words += ["-device", "virtio-serial-pci"]
        words += ["-chardev", f"socket,path={self.path('agent')},server=on,wait=off,id=agent"]
        words += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        words += ["-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console"]
        words += ["-qmp", f"unix:{self.path('monitor')},server=on,wait=off"]
        with open(self.path("qemu.log"), "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while not os.path.exists(self.path("monitor")):
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.path("qemu.log"), encoding="utf-8", errors="replace") as log:
                    raise Trouble(f"QEMU does not start: {log.read()}")
            time.sleep(0.05)
        self.monitor = Monitor(self.path("monitor"))
        return Agent(self.path("agent"))

    def stop(self):
        """Off, as by pulling the plug."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Snapshot:
    """The disk of a snapshot, read without booting it."""

    def __init__(self, path):
        self.path = path

    def replay(self):
        """What a mount does first: the file system's journal. On a copy, for
        the snapshot is to stay as it was taken."""
        copy = f"{self.path}.read"
        subprocess.run(["cp", "--sparse=always", self.path, copy], check=True)
        done = subprocess.run(
            ["e2fsck", "-y", "-E", "journal_only", copy],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
        if done.returncode & ~3:
            raise Trouble(f"e2fsck cannot read the snapshot: {done.stdout.decode(errors='replace')}")
        return copy

    def take_out(self, name, target):
        """Copies a file out; false where it is not there or empty."""
        copy = self.replay()
        if os.path.exists(target):
            os.unlink(target)
        subprocess.run(
            ["debugfs", "-R", f"dump {name} {target}", copy],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )
        os.unlink(copy)
        return os.path.exists(target) and os.path.getsize(target) > 0


def missing_tools():
    """Programs of the host that are not there."""
    wanted = ["qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "e2fsck", "debugfs"]
    places = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in wanted if shutil.which(name, path=places) is None]
