"""Runs of a user's command, as tests on a virtual cluster start and read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from pi_speedup.store import RunStore
from pi_speedup.workload.command import CommandReport
from tests.virtual import Outcome, VirtualCluster

# The seeds with which the Job comes first, and the base case.
JOB_FIRST, BASE_FIRST = {"order_seed": 0}, {"order_seed": 1}
# Nothing is to be found out before: what a command does wrong, it does in a trial.
ONCE = {"warm_up": False, "runs_per_process": 1}
# What a shell, Jinja, YAML or Kubernetes might take for its own.
ODD = "'\"$HOME\" $(echo no) `echo no` {{ 7 * 7 }} {% x %} $$ $(HOME) \\n \\\\ ä 漢 * # x\n\n\t end'"


class _Unsafe(str):
    """A text in which Ansible is not to look for templates."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"')
)


def _unsafe(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unsafe(each) for name, each in value.items()}
    return _Unsafe(value) if isinstance(value, str) else value


# No trial that nobody looks at, and none whose length is to be found out first.
ONCE = {"warm_up": False, "runs_per_process": 1}


def measure(cluster: VirtualCluster, folder: Path, **settings: Any) -> Outcome:
    """Measure a command in one round; the settings come in a file, as who writes quotes has them."""
    given = {f"benchmark_{name}": _unsafe(value) for name, value in {**ONCE, **settings}.items()}
    path = folder / "settings.yml"
    path.write_text(yaml.dump(given, Dumper=_Dumper, allow_unicode=True))
    return cluster.play("benchmark.yml", "-e", f"@{path}", benchmark_runs_dir=folder / "runs")


def reports(outcome: Outcome) -> list[CommandReport]:
    """Return what all workers of a run that went well reported, in the order of the plan."""
    assert outcome.exit_code == 0, outcome.output
    found = [
        worker.report
        for trial in RunStore(outcome.run_dir.resolve()).trials()
        for worker in trial.workers
        if worker.report
    ]
    return [CommandReport.model_validate_json(report.model_dump_json()) for report in found]


def check(outcome: Outcome, code: str) -> dict[str, Any]:
    """Return what a check found of a run that went well."""
    assert outcome.exit_code == 0, outcome.output
    report = json.loads((outcome.run_dir / "report.json").read_text())
    (found,) = [each for each in report["checks"] if each["code"] == code]
    return dict(found)
