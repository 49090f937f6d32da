"""The worker's log and termination message: the real worker's are read, damaged ones refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.plain import to_plain
from pi_speedup.worker_output import parse_worker_json, parse_worker_output

WORKER = Path(__file__).parents[2] / "files" / "pi_worker.py"


@pytest.fixture(scope="module", name="log")
def fixture_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what the real worker writes as pod 2 of a run."""
    termination_log = tmp_path_factory.mktemp("dev") / "termination-log"
    command = [sys.executable, str(WORKER), "--run-id", "r-1", "--samples", "2000"]
    command += ["--termination-log", str(termination_log)]
    environment = {**os.environ, "JOB_COMPLETION_INDEX": "2", "NODE_NAME": "pi-3"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_real_worker_is_understood(log: str) -> None:
    result = parse_worker_output(log)
    assert (result.run_id, result.stream, result.completion_index) == ("r-1", "2", 2)
    assert (result.engine, result.samples, result.node) == ("seed", 2000, "pi-3")
    assert result.duration_seconds > 0 and 0 < result.inside <= 2000


def test_field_order_is_that_of_the_worker(log: str) -> None:
    line = log.splitlines()[1]
    assert json.dumps(to_plain(parse_worker_json(line)), separators=(",", ":")) == line


def test_a_warning_before_the_three_lines_is_left_aside(log: str) -> None:
    assert parse_worker_output("DeprecationWarning: x\n" + log) == parse_worker_output(log)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda log: "", "empty"),
        (lambda log: log.splitlines()[0] + "\n", "end mark PI-WORKER-END is missing"),
        (lambda log: log[: log.index("PI-WORKER-END")], "end mark PI-WORKER-END is missing"),
        (lambda log: log[:-20], "cut off within the end mark"),
        (lambda log: log.replace('"samples":2000', '"samples":2001'), "checksum"),
        (lambda log: log.splitlines()[2], "no JSON line"),
        (lambda log: log + log, "2 end marks"),
        (lambda log: "x" * 70000 + log, "more than the 65536 expected"),
    ],
    ids=[
        "nothing written",
        "only the seed's line",
        "cut before the end mark",
        "cut in the end mark",
        "a digit changed",
        "only the end mark",
        "two workers in one log",
        "far too much",
    ],
)
def test_a_damaged_log_is_refused(log: str, damage: Callable[[str], str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_worker_output(damage(log))
    assert "\n" not in str(caught.value)


def test_the_checksum_alone_does_not_make_it_right() -> None:
    line = "{}"
    digest = hashlib.sha256(line.encode()).hexdigest()
    with pytest.raises(ValueError, match="schema_version is missing"):
        parse_worker_output(f"{line}\nPI-WORKER-END sha256={digest}\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration_seconds": 0}, "duration_seconds must be a number from"),
        ({"duration_seconds": -1.5}, "duration_seconds must be a number from"),
        ({"duration_seconds": "1.5"}, "duration_seconds must be a number, not '1.5'"),
        ({"duration_seconds": float("nan")}, "NaN is no measurement"),
        ({"duration_seconds": float("inf")}, "Infinity is no measurement"),
        ({"cpu_seconds": -0.1}, "cpu_seconds"),
        ({"inside": 2001}, "inside must be a whole number from 0 to 2000"),
        ({"samples": 0}, "samples"),
        ({"samples": True}, "samples must be a whole number"),
        ({"samples": 2000.0}, "samples must be a whole number"),
        ({"end_epoch_ns": 1}, "end_epoch_ns"),
        ({"schema_version": 2}, "schema_version must be 1"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"run_id": "../x"}, "run_id"),
        ({"node": "pi-1\n## hello"}, "node"),
        ({"engine": "x" * 2000}, "more than the 1024 expected"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_field_is_refused(log: str, change: dict[str, Any], message: str) -> None:
    data = {**json.loads(log.splitlines()[1]), **change}
    with pytest.raises(ValueError, match=message) as caught:
        parse_worker_json(json.dumps(data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema_version":1,"run_id":"r-', "perhaps cut off"),
        ("[]", "a JSON object is expected"),
        # Pythons differ in the depth at which they give up: from 3.13 on, such a text is only cut off.
        ("[" * 1000, "nested too deeply|perhaps cut off"),
        ('{"samples":1,"samples":2}', "a key is given twice"),
        ('{"samples":1e999}', "schema_version is missing"),
        ("  ", "empty"),
    ],
    ids=["cut off", "a list", "a bomb of brackets", "a key twice", "overflow to infinity", "blank"],
)
def test_json_that_is_no_result_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_worker_json(text)


def test_results_are_frozen(log: str) -> None:
    result = parse_worker_output(log)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.samples = 1  # type: ignore[misc]
