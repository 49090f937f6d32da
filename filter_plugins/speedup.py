"""Ansible's door to pi_speedup: convert, call, convert back, turn ValueError into Ansible's error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

# Ansible loads a filter by its path: from a bare clone nothing else makes src/ importable.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pi_speedup import baseline, node_readiness, render, report
from pi_speedup.plain import to_plain


def _plainly(function: Callable[..., object]) -> Callable[..., Any]:
    """Wrap a pure function: plain types in and out (Ansible's are tagged and lazy), one-line errors."""

    def call(*arguments: object, **options: object) -> Any:
        try:
            given = {name: to_plain(option) for name, option in options.items()}
            return to_plain(function(*(to_plain(argument) for argument in arguments), **given))
        except ValueError as error:
            raise AnsibleFilterError(str(error)) from None

    return call


def _speedup(files: dict[str, str]) -> dict[str, object]:
    # A refusal is a result here, not an error: Ansible wraps an error of a filter in many lines.
    try:
        finished = report.report_from_files(files)
    except ValueError as error:
        return {"problem": str(error)}
    return {
        "problem": None,
        "report": finished,
        "markdown": render.markdown(finished),
        "table": render.terminal_table(finished),
    }


class FilterModule:
    """The filters of this project; each has its documentation in a YAML file beside this one."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "speedup": _plainly(_speedup),
            "node_readiness": _plainly(node_readiness.node_readiness),
            "baseline_cases": _plainly(baseline.baseline_cases),
            "left_containers": _plainly(baseline.left_containers),
            "container_image": _plainly(baseline.container_image),
            "baseline_files": _plainly(baseline.baseline_files),
        }
