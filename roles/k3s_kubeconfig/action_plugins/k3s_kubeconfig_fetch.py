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

from pi_kube.errors import KubeError
from pi_kube.server_address import find_server_address
from pi_kube.server_kubeconfig import parse_server_kubeconfig
from pi_speedup.plain import one_line
from pi_speedup.remote_problems import Remote, connection_problem, sudo_problem
from pi_speedup.run_files import write_files

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
            said = "k3s_kubeconfig_fetch reads a key. Next: give the task no_log: true"
            return {**result, "failed": True, "msg": said}
        pi, source, dest = str(arguments["pi"]), str(arguments["source"]), Path(arguments["dest"])
        context = self._play_context
        remote = Remote(pi, str(context.remote_addr or pi), context.remote_user, context.port)
        try:
            text = self._read(remote, source)
            kubeconfig = parse_server_kubeconfig(text, pi=pi, path=source)
            address = find_server_address(kubeconfig, [str(each) for each in arguments["addresses"]], pi=pi)
            write_files(dest.parent, {dest.name: kubeconfig.pointing_to(address)})
        except (KubeError, OSError) as error:
            return {**result, "changed": False, "address": None, "problem": str(error)}
        return {**result, "changed": True, "address": address, "problem": None}

    def _read(self, remote: Remote, source: str) -> str:
        file = shlex.quote(source)
        try:
            answer = self._low_level_execute_command(
                f"if test -e {file}; then cat {file}; else exit {_MISSING}; fi"
            )
        except AnsibleConnectionFailure:
            raise KubeError(self._why_unreachable(remote)) from None
        except AnsibleError as error:
            raise KubeError(_refused(remote, source, str(error))) from None
        if answer["rc"] == _MISSING:
            raise KubeError(
                f"{remote.pi}: there is no {source}, so no K3s server runs there. Next: put the Pi with the "
                "K3s server into the inventory's group `server`, or give benchmark_kubeconfig"
            )
        if answer["rc"] != 0:
            raise KubeError(_refused(remote, source, answer["stderr"] or "no reason given"))
        return str(answer["stdout"])

    def _why_unreachable(self, remote: Remote) -> str:
        # What ssh said was hidden with the output; to a command that reads nothing it may say it openly.
        context = self._connection._play_context
        context.no_log = False
        try:
            self._low_level_execute_command("true", sudoable=False)
        except AnsibleConnectionFailure as error:
            return connection_problem(remote, str(error))
        finally:
            context.no_log = True
        return connection_problem(remote, "the connection broke while the kubeconfig was read")


def _refused(remote: Remote, source: str, said: str) -> str:
    return sudo_problem(remote, said) or (
        f"{remote.pi}: {source} cannot be read there ({one_line(said, 160)}). "
        f"Next: {remote.ssh} sudo cat {source} > /dev/null"
    )
