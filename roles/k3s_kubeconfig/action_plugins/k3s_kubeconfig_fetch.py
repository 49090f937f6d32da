"""Adapter: read the kubeconfig on the K3s server, find an address that works from here, keep it private.

Whoever reads it is cluster admin. The task must have `no_log: true`: with -vvv the connection plugin shows
all that it read. That hides this plugin's result too, so a problem is a result here, for the next task.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.codes import Code
from pi_speedup.kube.server import find_server_address, parse_server_kubeconfig
from pi_speedup.pi.ssh import Remote, connection_error, sudo_problem
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.store import RunStore
from pi_speedup.text import one_line

# Of no program that takes part; the text of cat depends on the Pi's language.
_MISSING = 44


class ActionModule(ActionBase):
    """Arguments: `pi` (its name), `source` (there), `dest` (here), `addresses` (to try, in order).

    Returns `address`, never what was read, and `problem`: one line, or null.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the file in one go over the connection; change nothing there."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "pi": {"type": "str", "required": True},
                "source": {"type": "str", "required": True},
                "dest": {"type": "path", "required": True},
                "addresses": {"type": "list", "elements": "str", "required": True},
            }
        )
        if not self._task.no_log:
            what, step = "reads a key, and the task may be logged", "give the task no_log: true"
            problem = refuse(Code.MISTAKE_IN_THIS_PROGRAM, "k3s_kubeconfig_fetch", what, step)
            return {**result, "failed": True, "msg": str(problem)}
        pi, source, dest = str(arguments["pi"]), str(arguments["source"]), Path(arguments["dest"])
        remote = Remote.of(pi, self._play_context)
        try:
            text = self._read(remote, source)
            kubeconfig = parse_server_kubeconfig(text, pi=pi, path=source)
            address = find_server_address(kubeconfig, [str(each) for each in arguments["addresses"]], pi=pi)
            RunStore(dest.parent).write({dest.name: kubeconfig.pointing_to(address)})
        except ProblemError as error:
            return {**result, "changed": False, "address": None, "problem": str(error)}
        # Not a change: it is gone again when it has served.
        return {**result, "changed": False, "address": address, "problem": None}

    def _read(self, remote: Remote, source: str) -> str:
        file = shlex.quote(source)
        try:
            answer = self._low_level_execute_command(
                f"if test -e {file}; then cat {file}; else exit {_MISSING}; fi"
            )
        except AnsibleConnectionFailure:
            raise self._why_unreachable(remote) from None
        except AnsibleError as error:
            raise _refused(remote, source, str(error)) from None
        if answer["rc"] == _MISSING:
            raise refuse(
                Code.K3S_SERVER_NOT_THERE,
                remote.pi,
                f"there is no {source}, so no K3s server runs there",
                "put the Pi with the K3s server into the inventory's group `server`, or give "
                "benchmark_kubeconfig",
            )
        if answer["rc"] != 0:
            raise _refused(remote, source, answer["stderr"] or "no reason given")
        return str(answer["stdout"])

    def _why_unreachable(self, remote: Remote) -> ProblemError:
        # What ssh said was hidden with the output; to a command that reads nothing it may say it openly.
        context = self._connection._play_context
        context.no_log = False
        try:
            self._low_level_execute_command("true", sudoable=False)
        except AnsibleConnectionFailure as error:
            return connection_error(remote, str(error))
        finally:
            context.no_log = True
        return connection_error(remote, "the connection broke while the kubeconfig was read")


def _refused(remote: Remote, source: str, said: str) -> ProblemError:
    problem = sudo_problem(remote, said)
    if problem is not None:
        return ProblemError(problem)
    what = f"{source} cannot be read there ({one_line(said, 160)})"
    return refuse(Code.KUBECONFIG_UNREADABLE, remote.pi, what, f"{remote.ssh} sudo cat {source} > /dev/null")
