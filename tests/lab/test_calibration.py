"""How much a trial does is asked of the Pi that works alone, before anything is planned."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import yaml

from pi_speedup.model.calibration import Calibration
from tests.lab.lab import Lab
from tests.virtual import assert_told, await_that

# Nothing is given, as with the settings as they come; but less than the usual ten seconds is wished.
FOUND = {"benchmark_samples_per_process": "", "benchmark_trial_seconds": 1}


def test_the_plan_has_what_was_read_and_a_run_that_goes_on_keeps_it(lab: Lab, tmp_path: Path) -> None:
    first = lab.play(
        "benchmark.yml", **FOUND, benchmark_runs_dir=tmp_path / "runs", benchmark_budget_minutes=0.001
    )
    assert first.exit_code == 0, first.output
    plan = json.loads((first.run_dir / "plan.json").read_text())
    read = Calibration.model_validate_json((first.run_dir / "calibration.json").read_text())
    assert plan["calibration"] == read.model_dump(mode="json")
    assert read.readings[-1].seconds >= 1
    amounts = {cell["amount_per_process"] for cell in plan["cells"]}
    assert amounts == {read.amount_for(1)}
    assert str(read.amount_for(1)).strip("0") in ("1", "2", "5")
    assert "pi-1 was asked, and did " in first.output
    # What each reading's container printed.
    assert len(list((first.run_dir / "logs").glob("calibration-*/*.log"))) == len(read.readings)
    report = json.loads((first.run_dir / "report.json").read_text())
    assert {check["code"]: check["status"] for check in report["checks"]}["planned"] == "pass"


def test_ctrl_c_while_a_pi_is_asked_leaves_nothing_and_the_run_can_begin_anew(
    lab: Lab, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yml"
    settings.write_text(yaml.safe_dump({"benchmark_command": "sleep 61.5; echo done"}))
    runs, run_id = tmp_path / "runs", "asked"
    words = ("-e", f"@{settings}")
    playing = lab.start("benchmark.yml", *words, benchmark_runs_dir=runs, benchmark_run_id=run_id)
    await_that(lambda: commands("sleep 61.5"), "the command runs")
    os.killpg(playing.process.pid, signal.SIGINT)
    outcome = playing.end(within_seconds=60)
    assert outcome.exit_code != 0
    assert "Traceback" not in outcome.output
    assert "stopped by Ctrl-C" in outcome.output
    assert not commands("sleep 61.5")
    assert not (runs / run_id / "plan.json").exists()
    settings.write_text(yaml.safe_dump({"benchmark_command": "echo done"}))
    again = lab.play(
        "benchmark.yml",
        *words,
        benchmark_runs_dir=runs,
        benchmark_run_id=run_id,
        benchmark_runs_per_process=2,
    )
    assert again.exit_code == 0, again.output


def test_a_command_that_fails_is_told_before_anything_is_planned(lab: Lab, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yml"
    settings.write_text(yaml.safe_dump({"benchmark_command": "echo no such film >&2; exit 3"}))
    runs = tmp_path / "runs"
    outcome = lab.play("benchmark.yml", "-e", f"@{settings}", benchmark_runs_dir=runs, benchmark_run_id="bad")
    assert_told(outcome, r"^pi-1: .*exit code 3.*no such film")
    logs = list((runs / "bad/logs").glob("calibration-*/*.log"))
    assert len(logs) == 1 and "no such film" in logs[0].read_text()
    assert not (runs / "bad/plan.json").exists()


def commands(words: str) -> list[int]:
    """Return the processes whose own words these are."""
    wanted = words.encode().replace(b" ", b"\0") + b"\0"
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == wanted:
                found.append(int(folder.name))
        except OSError:
            continue
    return found
