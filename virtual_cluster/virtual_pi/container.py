"""One container's process: started in its box, under its Pi's budget, watched to its end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from .config import Pi
from .cpu_budget import CpuBudget, TokenBucket
from .images import Image, find_image
from .spec import ContainerPlan

_MESSAGE_BYTES = 4096
_MESSAGE_LOG_BYTES, _MESSAGE_LOG_LINES = 2048, 80
_BOX = Path(__file__).with_name("box.py")
# More boxes set up at once only get into each other's way.
_starting = asyncio.Semaphore(2 * (os.cpu_count() or 1))


class StartError(Exception):
    """The command did not start; the text says why."""


class Container:
    """A started container."""

    def __init__(
        self, pid: int, ended: "asyncio.Task[tuple[int, float]]", folder: Path, plan: ContainerPlan
    ) -> None:
        self._pid, self._ended = pid, ended
        self._folder, self._plan = folder, plan

    def terminate(self) -> None:
        """SIGTERM to the first process; as PID 1 it may ignore it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL; the PID namespace takes all descendants with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    async def wait(self) -> tuple[int, float]:
        """The exit code (128 + N after signal N) and when it ended, in epoch seconds."""
        return await asyncio.shield(self._ended)

    def message(self, exit_code: int) -> str:
        """The termination message, from its file or (policy FallbackToLogsOnError) the log's end."""
        with message_file(self._folder, self._plan).open("rb") as file:
            text = file.read(_MESSAGE_BYTES)
        if not text and exit_code and self._plan.message_from_log:
            with log_file(self._folder, self._plan.name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _MESSAGE_LOG_BYTES))
                text = b"".join(file.readlines()[-_MESSAGE_LOG_LINES:])
        return text.decode(errors="replace")


def log_file(pod_folder: Path, container: str) -> Path:
    """Where the output of ``container`` is kept."""
    return pod_folder / f"{container}.log"


def message_file(pod_folder: Path, plan: ContainerPlan) -> Path:
    """The host's side of the termination message path."""
    return pod_folder / f"{plan.name}.termination-log"


def box_plan(
    plan: ContainerPlan, image: Image, pi: Pi, hostname: str, folder: Path, namespaces: bool
) -> dict[str, object]:
    """What box.py reads on its stdin, without its parent's PID. ``folder`` holds the pod's files."""
    env = dict(image.env) | {"HOSTNAME": hostname, "HOME": "/root" if not plan.uid else "/"} | dict(plan.env)
    read_only_volumes = {mount.volume for mount in plan.mounts if mount.read_only}
    binds = [
        [str(folder / "volumes" / mount.volume), mount.path, mount.volume not in read_only_volumes]
        for mount in plan.mounts
    ]
    return {
        "root": str(folder / f"{plan.name}.root"),
        "namespaces": namespaces,
        "hostname": hostname,
        "address": pi.address,
        "prefix": image.prefix,
        "executable": image.executable,
        "binds": [*binds, [str(message_file(folder, plan)), plan.message_path, True]],
        "argv": [*(plan.command or (() if plan.args else image.command)), *plan.args],
        "env": env,
        "cwd": plan.working_dir,
        "uid": plan.uid or 0,
        "gid": plan.gid,
        "read_only_root": plan.read_only_root,
        "no_new_privileges": plan.no_new_privileges,
        "drop_capabilities": plan.drop_capabilities,
    }


async def start_container(
    plan: Mapping[str, object],
    container: ContainerPlan,
    folder: Path,
    budget: CpuBudget,
    buckets: Sequence[TokenBucket],
) -> Container:
    """Start a box with ``plan`` (see box_plan); StartError when its command cannot run."""
    message_file(folder, container).touch(mode=0o666)
    async with _starting:
        with log_file(folder, container.name).open("ab") as log:
            box = await _box(log)
        try:
            pid = await _started(box, plan)
        except asyncio.CancelledError:
            box.kill()
            raise
    member = budget.add(pid, buckets)

    async def end() -> tuple[int, float]:
        code = await box.wait()
        ended_at = time.time()
        budget.remove(member)
        return code, ended_at

    return Container(pid, asyncio.create_task(end()), folder, container)


async def namespaces_problem(folder: Path) -> str | None:
    """Try an empty box in ``folder``: why this host does not let us have one, or None."""
    image = find_image("python")
    plan = {
        "root": str(folder / "probe.root"), "namespaces": True, "hostname": "probe", "address": "127.0.0.1",
        "prefix": image.prefix, "executable": image.executable, "binds": [], "argv": ["python3", "-c", ""],
        "env": dict(image.env), "cwd": "/", "uid": 65534, "gid": 65534, "read_only_root": True,
        "no_new_privileges": True, "drop_capabilities": True,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    box = await _box(asyncio.subprocess.DEVNULL)
    try:
        await _started(box, plan)
    except StartError as error:
        return str(error)
    return None if await box.wait() == 0 else "an empty Python program fails in it"


async def _box(log: "BinaryIO | int") -> asyncio.subprocess.Process:
    # The interpreter itself and not the one of a virtual environment: -I -S wants none of that.
    python = getattr(sys, "_base_executable", sys.executable)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        python, "-I", "-S", str(_BOX), stdin=pipe, stdout=pipe, stderr=log, start_new_session=True
    )


async def _started(box: asyncio.subprocess.Process, plan: Mapping[str, object]) -> int:
    """Hand the box its plan; the PID of the command once it runs."""
    Path(str(plan["root"])).mkdir(exist_ok=True)
    assert box.stdin and box.stdout
    box.stdin.write(json.dumps({**plan, "parent": os.getpid()}).encode())
    box.stdin.close()
    report = (await box.stdout.read()).decode()
    lines = dict(line.partition(" ")[::2] for line in report.splitlines())
    if "error" in lines or "pid" not in lines:
        await box.wait()
        raise StartError(lines.get("error", "the box ended without a word"))
    return int(lines["pid"])
