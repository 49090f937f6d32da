"""Adapter: read the kubeconfig on the K3s server, find an address that works from here, keep it private.

Whoever reads it is cluster admin. The task must have `no_log: true`: with -vvv the connection plugin shows
all that it read. That hides this plugin's result too, so a problem is a result here, for the next task.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Plugins are loaded by path: the package beside the roles is not importable by itself.
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src"))

from pi_speedup.codes import Code
from pi_speedup.kube.access.fetched import keep_fetched
from pi_speedup.kube.access.server import find_server_address, parse_server_kubeconfig
from pi_speedup.pi.login import read_kubeconfig
from pi_speedup.pi.shell import ConnectionShell
from pi_speedup.pi.ssh import connection_error
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.remote import Remote
from pi_speedup.store import RunStore


class ActionModule(ActionBase):
    """Arguments: `run_dir`, `source` (the file there), `addresses` (to try, in order).

    Returns `address`, never what was read, and `problem`: one line, or null.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Read the file in one go over the connection; change nothing there."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "run_dir": {"type": "path", "required": True},
                "source": {"type": "str", "required": True},
                "addresses": {"type": "list", "elements": "str", "required": True},
            }
        )
        if not self._task.no_log:
            what, step = "reads a key, and the task may be logged", "give the task no_log: true"
            problem = refuse(Code.MISTAKE_IN_THIS_PROGRAM, "k3s_kubeconfig_fetch", what, step)
            return {**result, "failed": True, "msg": str(problem)}
        source = str(arguments["source"])
        try:
            run = RunStore(Path(arguments["run_dir"])).run()
            pi = run.fetch_from
            remote = Remote.of_action(pi, self, task_vars)
            text = self._read(remote, source)
            kubeconfig = parse_server_kubeconfig(text, pi=pi, path=source)
            address = find_server_address(kubeconfig, [str(each) for each in arguments["addresses"]], pi=pi)
            keep_fetched(kubeconfig.pointing_to(address), Path(run.kubeconfig))
        except ProblemError as error:
            return {**result, "changed": False, "address": None, "problem": str(error)}
        # Not a change: it is gone again when it has served.
        return {**result, "changed": False, "address": address, "problem": None}

    def _read(self, remote: Remote, source: str) -> str:
        shell = ConnectionShell.of_action(self, remote)
        try:
            return read_kubeconfig(shell, remote, source)
        except ProblemError as error:
            if "censored" not in str(error):
                raise
            raise self._in_the_open(remote) from None

    def _in_the_open(self, remote: Remote) -> ProblemError:
        # What ssh said was hidden with the output; to a command that reads nothing it may say it openly.
        context = self._connection._play_context
        context.no_log = False
        try:
            ConnectionShell.of_action(self, remote, may_become=False).run("true")
        except ProblemError as error:
            return error
        finally:
            context.no_log = True
        return connection_error(remote, "the connection broke while the kubeconfig was read")
