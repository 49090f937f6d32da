"""The baseline's commands: what is measured, what is kept, and each failure as one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.baseline import baseline_cases, baseline_files, command_seconds, container_image

WORKER = Path(__file__).parents[2] / "files" / "pi_worker.py"
RUN = {
    "run_id": "r1",
    "pis": ["pi-1", "pi-2", "pi-3"],
    "samples_per_pod": 1000,
    "scalings": ["strong", "weak"],
}
# Docker 28's and podman 4's own words.
DAEMON_DOWN = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
)
NOT_ALLOWED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/containers/json": dial unix: connect: permission denied'
)


def outcome(scaling: str = "weak", **changes: object) -> dict[str, Any]:
    """A command's result as Ansible registers it in a loop; by default of a worker that really ran."""
    item = next(case for case in baseline_cases(RUN) if case["scaling"] == scaling)
    argv = [sys.executable, str(WORKER), "--run-id=r1", "--node=pi-1", f"--stream=baseline-{scaling}"]
    done = subprocess.run([*argv, f"--samples={item['samples']}"], capture_output=True, text=True, check=True)
    return {"item": item, "rc": 0, "stdout": done.stdout, "stderr": "", "delta": "0:00:01.500000", **changes}


def kept(*outcomes: dict[str, Any]) -> Any:
    return baseline_files(
        outcomes,
        host="pi-1",
        runtime="docker",
        image="python:3.9",
        image_id=None,
        cpu_limit_cores=0.5,
        run_id="r1",
        timeout_seconds=60,
    )


def test_strong_does_the_work_of_all_pods_and_weak_that_of_one() -> None:
    samples = {case["scaling"]: case["samples"] for case in baseline_cases(RUN)}
    assert samples == {"strong": 3000, "weak": 1000}


def test_a_good_baseline_leaves_its_result_and_its_log() -> None:
    result = kept(outcome())
    assert result.problems == ()
    assert set(result.files) == {"logs/baseline-weak.log", "results/baseline-weak.json"}
    assert result.files["results/baseline-weak.json"]["wall_seconds"] == 1.5
    assert result.files["results/baseline-weak.json"]["worker"]["samples"] == 1000


def test_a_failed_baseline_does_not_take_the_good_one_with_it() -> None:
    result = kept(outcome(), outcome("strong", rc=137, stdout="", stderr="Killed"))
    assert "results/baseline-weak.json" in result.files
    assert "results/baseline-strong.json" not in result.files
    assert result.files["logs/baseline-strong.log"] == "Killed"
    assert len(result.problems) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"rc": 127, "stderr": "timeout: failed to run command 'docker': No such file or directory"},
            "docker is not there",
        ),
        (
            {"rc": 127, "msg": "Module result deserialization failed: No start of json"},
            "ansible_python_interpreter",
        ),
        ({"rc": 125, "stderr": f"docker: {DAEMON_DOWN}"}, "systemctl start docker"),
        ({"rc": 126, "stderr": f"docker: {NOT_ALLOWED}"}, "usermod -aG docker"),
        ({"rc": 124, "delta": "0:01:00.1"}, "took longer than 60 s"),
        ({"rc": 137, "delta": "0:01:10.1"}, "took longer than 60 s"),
        ({"rc": 137}, "want of memory"),
        ({"rc": 1, "stderr": "a\nMemoryError\n"}, "exit code 1 (MemoryError)"),
        ({"stdout": "Estimated Pi: 3.1, Time: 1.00 seconds\n"}, "Next: read its log"),
    ],
    ids=[
        "no binary",
        "no Python for Ansible",
        "daemon down",
        "not allowed",
        "timeout",
        "timeout, deaf to TERM",
        "out of memory",
        "worker fails",
        "output cut off",
    ],
)
def test_each_failure_is_one_line_with_the_next_step(changes: dict[str, Any], words: str) -> None:
    (problem,) = kept(outcome("weak", **changes)).problems
    assert "pi-1" in problem
    assert words in problem
    assert "Next: " in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("inspected", "present", "image_id", "problem"),
    [
        (
            {"rc": 0, "stdout": json.dumps([{"Id": "sha256:1", "RepoDigests": ["python@sha256:2"]}])},
            True,
            "python@sha256:2",
            None,
        ),
        ({"rc": 0, "stdout": json.dumps([{"Id": "sha256:1", "RepoDigests": []}])}, True, "sha256:1", None),
        ({"rc": 1, "stdout": "[]", "stderr": "Error: No such image: python:3.9"}, False, None, None),
        ({"rc": 125, "stderr": "Error: inspecting object: python:3.9: image not known"}, False, None, None),
        ({"rc": 1, "stderr": DAEMON_DOWN}, False, None, "systemctl start docker"),
        ({"rc": 1, "stderr": NOT_ALLOWED}, False, None, "usermod -aG docker"),
        ({"rc": 2, "msg": "Error executing command."}, False, None, "docker is not there"),
        ({"rc": 0, "stdout": "?"}, False, None, "image inspect"),
    ],
    ids=[
        "pulled",
        "built here",
        "absent",
        "absent, podman",
        "daemon down",
        "not allowed",
        "no binary",
        "no JSON",
    ],
)
def test_the_image_on_the_pi(
    inspected: dict[str, object], present: bool, image_id: str | None, problem: str | None
) -> None:
    found = container_image(inspected, host="pi-1", runtime="docker", image="python:3.9")
    assert (found.present, found.image_id) == (present, image_id)
    assert (problem is None) == (found.problem is None)
    assert problem is None or problem in str(found.problem)


def test_a_failed_pull_says_why() -> None:
    absent = {"rc": 1, "stderr": "Error: No such image: python:3.9"}
    pulled = {"rc": 1, "stderr": "Error response from daemon: manifest unknown"}
    found = container_image(absent, host="pi-1", runtime="docker", image="python:3.9", pulled=pulled)
    assert found.problem == (
        "pi-1: docker could not pull image python:3.9 (Error response from daemon: manifest unknown). "
        "Next: ssh pi-1 docker pull python:3.9"
    )


@pytest.mark.parametrize(
    ("delta", "seconds"),
    [("0:00:01.500000", 1.5), ("1:02:03", 3723.0), ("1 day, 0:00:01.000001", 86401.000001)],
)
def test_the_duration_of_a_command(delta: str, seconds: float) -> None:
    assert command_seconds(delta) == pytest.approx(seconds)


def test_a_duration_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="no duration"):
        command_seconds("None")
