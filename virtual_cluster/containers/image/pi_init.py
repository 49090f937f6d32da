"""The first program of a virtual Pi: prepares mounts and cgroups, then starts its services stage by stage.

`pi-init CONFIG` reads a JSON object:

    cpus             cores that pods and Docker's containers may use together
    kubeconfig       path of the administrator's kubeconfig on the K3s server, null elsewhere
    authorized_key   the public key that may log in as pi
    stages           [[{name, command, ready}, ...], ...]: the services of a stage start together; without
                     a command it is only something to wait for

`ready` says when the next stage may begin: "unix:PATH" (somebody listens there), "https://...": (it answers
200), "exit" (the command has ended well) or null (at once). {work} in a command is replaced by the cgroup
that the CPU budget is on. Each service logs to /var/log/pi-speedup/NAME.log.

Runs on the image's Python and imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

_CGROUPS = Path("/sys/fs/cgroup")
_LOGS = Path("/var/log/pi-speedup")
_READY_TIMEOUT_SECONDS = 120.0
_PERIOD_US = 100_000
_POLL_SECONDS = 0.05


def main(config_path: str) -> None:
    """Start everything, then wait for a service's end or for SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = json.loads(Path(config_path).read_text())
    prepare_files(config)
    own = own_cgroups(Path("/proc/self/cgroup").read_text())
    work = make_cgroups(own, config["cpus"])
    running: dict[str, subprocess.Popen[bytes]] = {}
    for stage in config["stages"]:
        started = {service["name"]: start(service, work) for service in stage if service["command"]}
        for service in stage:
            await_ready(service, {**running, **started})
        running |= {name: process for name, process in started.items() if process.poll() is None}
    say("all services run")
    watch(running)


def say(text: str) -> None:
    """What `docker logs` shows."""
    print("pi-init: " + text, flush=True)


def prepare_files(config: dict[str, Any]) -> None:
    """Mounts that pods' volumes can pass, an identity, and the key that opens the door."""
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    _LOGS.mkdir(exist_ok=True)
    if not Path("/etc/machine-id").exists() or not Path("/etc/machine-id").read_text().strip():
        Path("/etc/machine-id").write_text(os.urandom(16).hex() + "\n")
    subprocess.run(["ssh-keygen", "-A"], check=True, stdout=subprocess.DEVNULL)
    ssh = Path("/home/pi/.ssh")
    ssh.mkdir(mode=0o700, exist_ok=True)
    keys = ssh / "authorized_keys"
    keys.write_text(config["authorized_key"])
    keys.chmod(0o600)
    for path in (ssh, keys):
        shutil.chown(path, "pi", "pi")
    if config["kubeconfig"] is not None:
        target = Path("/etc/rancher/k3s/k3s.yaml")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_text(Path(config["kubeconfig"]).read_text())


def own_cgroups(text: str) -> dict[str, str]:
    """The container's cgroup by controllers, from /proc/self/cgroup; "" stands for version 2."""
    return {controllers: path for _, controllers, path in (line.split(":", 2) for line in text.splitlines())}


def make_cgroups(own: dict[str, str], cpus: float) -> str:
    """Make the cgroup `work` below the container's own, with the CPU budget on it; returns its path.

    Below: so `docker pause` freezes pods too, and nothing is left when the container goes. The daemons stay
    outside of the budget, as on a Pi, whose other cores they can use.
    """
    versions_1 = {controllers: path for controllers, path in own.items() if controllers}
    if any("cpu" in controllers.split(",") for controllers in versions_1):
        for controllers, path in versions_1.items():
            folder = _CGROUPS / controllers.removeprefix("name=") / path.lstrip("/") / "work"
            folder.mkdir(exist_ok=True)
            if "cpuset" in controllers.split(","):  # empty in a new one, and then nothing may run there
                for name in ("cpuset.cpus", "cpuset.mems"):
                    (folder / name).write_text((folder.parent / name).read_text())
            if "cpu" in controllers.split(","):
                (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (folder / "cpu.cfs_quota_us").write_text(str(int(cpus * _PERIOD_US)))
            own_path = path
        return own_path.rstrip("/") + "/work"
    # Version 2: only leaves may hold processes, so ours move to a leaf of their own.
    parent = _CGROUPS / own[""].lstrip("/")
    daemons = parent / "daemons"
    daemons.mkdir(exist_ok=True)
    for pid in (parent / "cgroup.procs").read_text().split():
        (daemons / "cgroup.procs").write_text(pid)
    (parent / "cgroup.subtree_control").write_text(
        " ".join("+" + name for name in (parent / "cgroup.controllers").read_text().split())
    )
    folder = parent / "work"
    folder.mkdir(exist_ok=True)
    (folder / "cpu.max").write_text(f"{int(cpus * _PERIOD_US)} {_PERIOD_US}")
    return own[""].rstrip("/") + "/work"


def start(service: dict[str, Any], work: str) -> subprocess.Popen[bytes]:
    """Start one service; its output goes to its log."""
    with (_LOGS / (service["name"] + ".log")).open("ab") as log:
        folder = Path("/run/pi-speedup") / service["name"]
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        command = [word.replace("{work}", work) for word in service["command"]]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)


def await_ready(service: dict[str, Any], processes: dict[str, subprocess.Popen[bytes]]) -> None:
    """Wait until the service is ready; exits with the reason if it, or another one, ends before."""
    name, ready = service["name"], service["ready"]
    deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
    while not is_ready(ready, processes.get(name)):
        for other, process in processes.items():
            ended = process.poll()
            if ended is not None and not (ended == 0 and other != name):
                sys.exit(f"pi-init: {other} ended with {ended}: {last_line(other)}")
        if time.monotonic() > deadline:
            sys.exit(f"pi-init: {name} is not ready after {_READY_TIMEOUT_SECONDS:.0f} s: {last_line(name)}")
        time.sleep(_POLL_SECONDS)
    say(name + " is ready")


def is_ready(ready: str | None, process: subprocess.Popen[bytes] | None) -> bool:
    """Whether the condition holds now."""
    if ready is None:
        return process is None or process.poll() is None
    if ready == "exit":
        return process is not None and process.poll() == 0
    if ready.startswith("unix:"):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(ready.removeprefix("unix:")) == 0
    try:
        # Whether it answers is all that is asked; nothing is sent that a stranger should not see.
        context = ssl._create_unverified_context()  # nosec B323
        with urllib.request.urlopen(ready, timeout=5, context=context) as answer:  # nosec B310
            return bool(answer.status == 200)
    except OSError:
        return False


def last_line(name: str) -> str:
    """The end of a service's log."""
    log = _LOGS / f"{name}.log"
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it logged nothing")


def watch(running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Say which service ends; the others go on: a fault is not the Pi's end."""
    names = {process.pid: name for name, process in running.items()}
    while True:
        pid, status = os.wait()
        if pid in names:
            say(f"{names[pid]} ended with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main(sys.argv[1])
