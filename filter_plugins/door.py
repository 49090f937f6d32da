"""A filter through which each door names its playbook: it ends what was started in a way that cannot work.

Ansible reads all plays before the first one begins, and would say in eight lines that it finds no role.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ansible import constants, context

# Ansible loads a filter by its path: from a bare clone nothing else makes src/ importable.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup.start import left_out, obstacle


def door(playbook: str) -> str:
    """Return the playbook's path; the program ends with one line where it cannot work."""
    line = obstacle(
        sys.argv,
        constants.DEFAULT_ROLES_PATH or (),
        str(constants.DEFAULT_STDOUT_CALLBACK),
        str(constants.CONFIG_FILE or ""),
    ) or left_out(sys.argv, context.CLIARGS)
    if line:
        print(line, file=sys.stderr)
        raise SystemExit(2)
    return playbook


class FilterModule:
    """The filter of the doors."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return it by its name."""
        return {"door": door}
