"""Running a command under the CPU budget of a virtual Pi.

The daemon of the virtual Pis is told the command's process id over its control socket, one line of JSON each
way; the budget holds for the process and its descendants while that connection is open.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from types import FrameType

from virtual_cluster import processes
from virtual_cluster.errors import LabError
from virtual_cluster.folder import LabFolder, read_spec

_REPLY_TIMEOUT_SECONDS = 10.0


def run(folder: LabFolder, pi: str, command: list[str]) -> int:
    """Run the command on this process's standard streams; returns its exit code, 128 + N for signal N.

    Raises LabError if there is no such Pi, no running lab, or if the lab ends before the command.
    """
    spec = read_spec(folder)
    if spec is None:
        raise LabError(f"no lab in {folder.path}. Next: python -m virtual_cluster up --dir {folder.path}")
    if pi not in {f"pi-{number}" for number in range(1, spec.pis + 1)}:
        raise LabError(f"no Pi {pi} in {folder.path}: there are pi-1 to pi-{spec.pis}")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_REPLY_TIMEOUT_SECONDS)
        try:
            connection.connect(spec.control_socket)
        except OSError as error:
            raise LabError(
                f"the lab in {folder.path} does not run ({error.strerror}). "
                f"Next: python -m virtual_cluster status --dir {folder.path}"
            ) from error
        processes.adopt_orphans()
        gate_out, gate_in = os.pipe()
        child = os.fork()
        if child == 0:
            _become(command, gate_out, gate_in)
        os.close(gate_out)
        handle = os.pidfd_open(child)
        try:
            _forward_signals(child)
            _register(connection, pi, child)
            os.write(gate_in, b".")
            os.close(gate_in)
            _await_end(handle, connection, pi)
        except BaseException:
            processes.kill_descendants()
            raise
        return _exit_code(os.waitpid(child, 0)[1])


def _become(command: list[str], gate_out: int, gate_in: int) -> None:
    """The child: wait until it is under the budget, then become the command."""
    try:
        processes.set_death_signal(signal.SIGKILL)
        os.close(gate_in)
        if os.read(gate_out, 1) != b".":  # the parent gave up, or died before the line above
            os._exit(125)
        processes.restore_signals()
        os.execvp(command[0], command)
    except FileNotFoundError:
        print(f"virtual_cluster exec: {command[0]}: command not found", file=sys.stderr, flush=True)
        os._exit(127)
    except OSError as error:
        print(f"virtual_cluster exec: {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(126)
    finally:
        os._exit(125)


def _forward_signals(child: int) -> None:
    def forward(number: int, frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    # A terminal sends these to the command as well, which decides.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda number, frame: None)


def _register(connection: socket.socket, pi: str, child: int) -> None:
    request = json.dumps({"pi": pi, "pid": child}) + "\n"
    try:
        connection.sendall(request.encode())
        answer = json.loads(connection.makefile().readline())
    except (OSError, ValueError) as error:
        raise LabError(f"{pi} does not answer: {error}") from error
    if not answer["ok"]:
        raise LabError(f"{pi} refused the command: {answer['error']}")


def _await_end(handle: int, connection: socket.socket, pi: str) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(connection, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll()}
    if handle not in ready:
        raise LabError(f"the lab ended before the command on {pi} did; the command was killed")


def _exit_code(wait_status: int) -> int:
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code
