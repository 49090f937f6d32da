"""The worker's log and termination message: the real worker's are read, damaged ones refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pi_speedup.problem import ProblemError
from pi_speedup.workload.pi import Pi

WORKER = Path(__file__).parents[3] / "files" / "pi_worker.py"
WHERE = "pod 2 on pi-3"


@pytest.fixture(scope="module", name="log")
def fixture_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what the real worker writes as pod 2 of a run."""
    termination_log = tmp_path_factory.mktemp("dev") / "termination-log"
    command = [sys.executable, str(WORKER), "--run-id", "r-1", "--samples", "2000", "--stream", "r001.1"]
    command += ["--termination-log", str(termination_log)]
    environment = {**os.environ, "JOB_COMPLETION_INDEX": "2", "NODE_NAME": "pi-3"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_real_worker_is_understood(log: str) -> None:
    report = Pi().own(Pi().read(log, WHERE), WHERE)
    assert (report.run_id, report.completion_index, report.engine) == ("r-1", 2, "seed")
    assert (report.samples, report.node) == (2000, "pi-3")
    assert report.streams == ("r001.1.2.0",)
    assert report.seconds > 0 and 0 < report.inside <= 2000


def test_a_warning_before_the_three_lines_is_left_aside(log: str) -> None:
    noisy = b"DeprecationWarning: \xff\n" + log.encode()
    assert Pi().read(noisy, WHERE) == Pi().read(log, WHERE)


@pytest.mark.fault("log cut within a line", row="cut before the end mark")
@pytest.mark.fault(
    "two results in one log",
    "pod 2 on pi-3: 2 end marks, so more than one worker wrote it [PS-541]. Next: read its log",
    kept="trials",
    row="two workers in one log",
)
@pytest.mark.fault("forged result: of another trial", row="a digit changed")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda log: "", "wrote nothing"),
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
def test_a_damaged_log_is_refused_and_the_pod_named(
    log: str, damage: Callable[[str], str], message: str
) -> None:
    with pytest.raises(ProblemError, match=message) as caught:
        Pi().read(damage(log), WHERE)
    assert caught.value.problem.subject == WHERE
    assert "\n" not in str(caught.value)


def test_the_checksum_alone_does_not_make_it_right() -> None:
    line = "{}"
    digest = hashlib.sha256(line.encode()).hexdigest()
    with pytest.raises(ProblemError, match="schema_version"):
        Pi().read(f"{line}\nPI-WORKER-END sha256={digest}\n", WHERE)


PROCESS: list[tuple[dict[str, Any], str]] = [
    ({"duration_seconds": 0}, "duration_seconds"),
    ({"duration_seconds": -1.5}, "duration_seconds"),
    ({"duration_seconds": "1.5"}, "duration_seconds is '1.5'"),
    ({"duration_seconds": float("nan")}, "NaN is not a measurement"),
    ({"duration_seconds": float("inf")}, "Infinity is not a measurement"),
    ({"cpu_seconds": -0.1}, "cpu_seconds"),
    ({"inside": 2001}, "2001 of 2000 samples inside is impossible"),
    ({"stretch": [200, 200, 200]}, "stretch"),
    ({"stretch": [251, 0, 0, 0]}, "251 of the first 250 inside is impossible"),
    ({"inside": 700, "stretch": [200] * 4}, "700 inside in all does not fit"),
    ({"inside": 1990, "stretch": [200] * 4}, "1990 inside in all does not fit"),
    ({"samples": 0}, "samples"),
    ({"samples": True}, "samples is True"),
    ({"samples": 10**400}, "samples|not JSON"),
    ({"end_epoch_ns": 1}, "ended before it began"),
    ({"extra": 1}, "extra"),
    ({"rng_seed": "x"}, "rng_seed"),
]
SHARED: list[tuple[dict[str, Any], str]] = [
    ({"schema_version": 2}, "schema_version is 2"),
    ({"run_id": "../x"}, "run_id"),
    ({"node": "pi-1\n## hello"}, "node"),
    ({"processes": []}, "processes"),
    ({"celsius": [20.0]}, "celsius"),
    ({"celsius": [20.0, -300.0]}, "celsius"),
    ({"megahertz": ["fast", None]}, "megahertz"),
    ({"engine": "x" * 5000}, "more than the 4096 expected"),
]


@pytest.mark.fault(
    "result that is negative",
    "pod 2 on pi-3: processes.0.duration_seconds is -1.5: Input should be greater than 0 "
    "[PS-541]. Next: ansible-playbook … -e benchmark_run_id=…",
    kept="trials, and the other pods' results",
    row="-{'duration_seconds': -1.5}-",
)
@pytest.mark.parametrize(
    ("level", "change", "message"),
    [*(("process", *row) for row in PROCESS), *(("shared", *row) for row in SHARED)],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_field_is_refused(log: str, level: str, change: dict[str, Any], message: str) -> None:
    data = json.loads(log.splitlines()[1])
    (data["processes"][0] if level == "process" else data).update(change)
    line = json.dumps(data)
    with pytest.raises(ProblemError, match=message) as caught:
        Pi().read_message(line, WHERE)
    assert "\n" not in str(caught.value)
    with pytest.raises(ProblemError, match=message):
        Pi().read(f"{line}\nPI-WORKER-END sha256={hashlib.sha256(line.encode()).hexdigest()}\n", WHERE)


def test_a_report_is_frozen(log: str) -> None:
    report = Pi().read(log, WHERE)
    with pytest.raises(ValidationError):
        report.node = "pi-9"  # type: ignore[misc]
