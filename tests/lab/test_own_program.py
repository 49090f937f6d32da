"""A program of one's own on a lab: an example, and what the README tells one to type."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

from tests.lab.lab import Lab
from tests.readme import READMES, commands

NAMESPACE = "own-program"


def report_of(runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((runs / "latest/report.json").read_text())
    return found


def check(report: dict[str, Any], code: str) -> str:
    return next(str(each["status"]) for each in report["checks"] if each["code"] == code)


def test_an_example_in_parts_leads_to_a_figure(lab: Lab, tmp_path: Path) -> None:
    done = lab.play(
        "benchmark.yml",
        "-e",
        "@examples/primes.yml",
        "-e",
        json.dumps({"benchmark_environment": {"LAST": 2_000_000}}),
        benchmark_runs_dir=tmp_path,
        benchmark_namespace=NAMESPACE,
        benchmark_rounds=2,
        benchmark_runs_per_process=1,
    )
    assert done.exit_code == 0, done.output
    report = report_of(tmp_path)
    assert (report["workload"], report["unit"]) == ("command", "job")
    assert check(report, "same_output") == "pass"
    assert len(report["result"]["seconds_of_parts"]) == 3
    assert "1 job in 3 parts" in done.output
    assert lab.play("cleanup.yml", benchmark_runs_dir=tmp_path, benchmark_namespace=NAMESPACE).exit_code == 0
    assert lab.left_behind(NAMESPACE) == []


def test_the_readme_leads_from_a_script_to_a_figure(lab: Lab, tmp_path: Path) -> None:
    shown = ""
    for typed in commands(READMES[0], "Measure your own program"):
        # Little to do; and a path is one from the project's folder, which stays as it is.
        command = typed.replace("30_000_000", "300_000").replace("=job.py", f"={tmp_path}/job.py")
        words = shlex.split(command)
        if words[0] != "make":
            shown = subprocess.check_output(["sh", "-c", command], cwd=tmp_path, text=True)
            continue
        _, target, *arguments = words
        given = shlex.split(" ".join(arguments).removeprefix("ARGS="))
        there = {"benchmark_runs_dir": tmp_path / "runs", "benchmark_namespace": NAMESPACE}
        done = lab.play(f"{target}.yml", *given, **there, benchmark_trial_seconds=1)
        assert done.exit_code == 0, done.output
    assert lab.left_behind(NAMESPACE) == []
    report = report_of(tmp_path / "runs")
    assert (report["workload"], report["unit"], check(report, "same_output")) == ("command", "run", "pass")
    # That of the report, which was shown before the clean-up.
    assert shown.startswith("# Speedup of 3 Pis")
