"""The baseline's commands: what is measured, what is kept, and each failure as one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.baseline import (
    baseline_cases,
    baseline_files,
    command_seconds,
    container_image,
    left_containers,
)

WORKER = Path(__file__).parents[2] / "files" / "pi_worker.py"
RUN = {
    "run_id": "r1",
    "pis": ["pi-1", "pi-2", "pi-3"],
    "samples_per_pod": 1000,
    "scalings": ["strong", "weak"],
}
# The runtimes' own words, by the version that says them.
DAEMON_DOWN = {
    "Docker 20.10 to 28": "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?",
    "Docker 29": "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path "
    "is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or "
    "directory",
}
_DIAL = (
    'unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.41/containers/json": '
    "dial unix /var/run/docker.sock: connect: permission denied"
)
NOT_ALLOWED = {
    "Docker 20.10": f"Got permission denied while trying to connect to the Docker daemon socket at {_DIAL}",
    "Docker 28": f"permission denied while trying to connect to the Docker daemon socket at {_DIAL}",
    "Docker 29": "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
}


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
        image_id="python@sha256:2",
        image_ids=["python@sha256:2", "sha256:1"],
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
    assert list(result.files["results/baseline-weak.json"]["image_ids"]) == ["python@sha256:2", "sha256:1"]


def test_a_failed_baseline_does_not_take_the_good_one_with_it() -> None:
    result = kept(outcome(), outcome("strong", rc=137, stdout="", stderr="Killed"))
    assert "results/baseline-weak.json" in result.files
    assert "results/baseline-strong.json" not in result.files
    assert result.files["logs/baseline-strong.log"] == "Killed"
    assert len(result.problems) == 1


# What the command ended with, words that the line must hold.
FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "no binary": (
        {"rc": 127, "stderr": "timeout: failed to run command 'docker': No such file or directory"},
        "docker is not there",
    ),
    "no Python for Ansible": (
        {"rc": 127, "msg": "Module result deserialization failed: No start of json"},
        "ansible_python_interpreter",
    ),
    "connection breaks": (
        {"rc": -9, "msg": "Module result deserialization failed: No start of json char found"},
        "the connection broke",
    ),
    "Pi goes away": (
        {
            "rc": None,
            "delta": None,
            "unreachable": True,
            "msg": "Task failed: Failed to connect to the host via ssh: Shared connection to pi-1 closed.",
        },
        "the connection broke, or Ansible was ended there (Failed to connect to the host via ssh: Shared ",
    ),
    "Pi goes away in the middle": (
        {"rc": None, "unreachable": True, "msg": "Task failed: Data could not be sent to pi-1 over ssh:"},
        "(Data could not be sent to pi-1 over ssh). Next: ",
    ),
    **{
        f"daemon down, {version}": ({"rc": 125, "stderr": f"docker: {said}"}, "systemctl start docker")
        for version, said in DAEMON_DOWN.items()
    },
    **{
        f"not allowed, {version}": ({"rc": 126, "stderr": f"docker: {said}"}, "usermod -aG docker")
        for version, said in NOT_ALLOWED.items()
    },
    "daemon goes away": (
        {
            "rc": 125,
            "stderr": 'time="2026-11-24T07:15:30Z" level=error msg="error waiting for container: EOF"',
        },
        "journalctl -u docker",
    ),
    "timeout": ({"rc": 124, "delta": "0:01:00.1"}, "took longer than 60 s"),
    "timeout, by the worker itself": (
        {"rc": 124, "stderr": "pi_worker: not finished after 60 s, so it ended itself\n"},
        "took longer than 60 s",
    ),
    "timeout, deaf to TERM": ({"rc": 137, "delta": "0:01:10.1"}, "took longer than 60 s"),
    "out of memory": ({"rc": 137}, "want of memory"),
    "too little memory for Docker": (
        {"rc": 125, "stderr": "docker: Error response from daemon: Minimum memory limit allowed is 6MB.\n"},
        "benchmark_memory_limit_mib",
    ),
    "too little memory to start": (
        {
            "rc": 125,
            "stderr": "OCI runtime create failed: container init was OOM-killed (memory limit too low?)",
        },
        "benchmark_memory_limit_mib",
    ),
    "stopped by someone": ({"rc": 143}, "stopped from outside"),
    "no python3 in it, docker": (
        {
            "rc": 127,
            "stderr": "docker: Error response from daemon: OCI runtime create failed: exec: "
            '"python3": executable file not found in $PATH: unknown.',
        },
        "holds no python3",
    ),
    "no python3 in it, podman": (
        {
            "rc": 127,
            "stderr": 'Error: runc: exec: "python3": executable file not found in $PATH: OCI runtime '
            "attempted to invoke a command that was not found",
        },
        "holds no python3",
    ),
    "for another processor": (
        {
            "rc": 1,
            "stderr": "WARNING: The requested image's platform (linux/amd64) does not match\n"
            "exec /usr/local/bin/python3: exec format error",
        },
        "not built for this kind of processor",
    ),
    "image gone meanwhile": (
        {"rc": 125, "stderr": "docker: Error response from daemon: No such image: python:3.9."},
        "removed meanwhile",
    ),
    "disk full": (
        {
            "rc": 125,
            "stderr": "Error response from daemon: mkdir /var/lib/docker/x: no space left on device.",
        },
        "disk is full",
    ),
    "podman may not limit": (
        {
            "rc": 126,
            "stderr": "Error: OCI runtime error: crun: requested cgroup controller `cpu` is not available",
        },
        "can't limit CPU or memory",
    ),
    "worker fails": ({"rc": 1, "stderr": "a\nMemoryError\n"}, "exit code 1 (MemoryError)"),
    "output cut off": ({"stdout": "Estimated Pi: 3.1, Time: 1.00 seconds\n"}, "Next: read its log"),
}


@pytest.mark.parametrize(("changes", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_each_failure_is_one_line_with_the_next_step(changes: dict[str, Any], words: str) -> None:
    (problem,) = kept(outcome("weak", **changes)).problems
    assert "pi-1" in problem
    assert words in problem
    assert "Next: " in problem
    assert "\n" not in problem


def test_one_cause_of_both_failures_is_said_once() -> None:
    (problem,) = kept(outcome("strong", rc=137), outcome("weak", rc=137)).problems
    assert problem.endswith("(baseline for strong and weak scaling)")


def test_a_process_that_is_not_there_is_no_container() -> None:
    missing = outcome(rc=127, stderr="taskset: failed to execute python9: No such file or directory")
    (problem,) = baseline_files(
        [missing],
        host="pi-1",
        runtime="process",
        image="python:3.9",
        image_id=None,
        image_ids=[],
        cpu_limit_cores=0.5,
        run_id="r1",
        timeout_seconds=60,
    ).problems
    assert "set benchmark_baseline_python" in problem


def described(**image: object) -> dict[str, object]:
    """The outcome of an inspection that found an image."""
    return {"rc": 0, "stdout": json.dumps([image])}


@pytest.mark.parametrize(
    ("inspected", "image_ids"),
    [
        (described(Id="sha256:1", RepoDigests=["python@sha256:2"]), ("python@sha256:2", "sha256:1")),
        (described(Id="sha256:1", RepoDigests=[]), ("sha256:1",)),
        (described(Id="sha256:1"), ("sha256:1",)),
        (described(Id="sha256:2", RepoDigests=["python@sha256:2"]), ("python@sha256:2",)),
        (
            described(Id="sha256:2", RepoDigests=[], Descriptor={"digest": "sha256:2"}),
            ("python:3.9@sha256:2",),
        ),
        (
            described(Id="1", Digest="sha256:2", RepoDigests=["a@sha256:2", "a@sha256:3"]),
            ("a@sha256:2", "a@sha256:3", "sha256:1"),
        ),
    ],
    ids=[
        "pulled",
        "built or loaded",
        "without the field",
        "Docker's containerd store",
        "Docker's containerd store, untagged",
        "podman",
    ],
)
def test_the_ids_of_an_image(inspected: dict[str, object], image_ids: tuple[str, ...]) -> None:
    found = container_image(inspected, host="pi-1", runtime="docker", image="python:3.9")
    assert (found.present, found.problem) == (True, None)
    assert found.image_ids == image_ids
    assert found.image_id == image_ids[0]


@pytest.mark.parametrize(
    "said",
    [
        "Error: No such image: python:3.9",
        "Error response from daemon: No such image: python:3.9",
        "Error: inspecting object: python:3.9: image not known",
        'Error: error inspecting object: no such object: "python:3.9"',
    ],
    ids=["Docker 20.10", "Docker 28", "podman 4", "podman 3"],
)
def test_an_absent_image_is_no_problem_yet(said: str) -> None:
    found = container_image({"rc": 1, "stderr": said}, host="pi-1", runtime="docker", image="python:3.9")
    assert (found.present, found.image_ids, found.problem) == (False, (), None)


@pytest.mark.parametrize(
    ("inspected", "problem"),
    [
        *(({"rc": 1, "stderr": said}, "systemctl start docker") for said in DAEMON_DOWN.values()),
        *(({"rc": 1, "stderr": said}, "usermod -aG docker") for said in NOT_ALLOWED.values()),
        ({"rc": 2, "msg": "Error executing command."}, "docker is not there"),
        (
            {"rc": 127, "stderr": "timeout: failed to run command 'docker': No such file"},
            "docker is not there",
        ),
        ({"rc": 124, "stderr": ""}, "docker does not answer"),
        ({"rc": 1, "stderr": "invalid reference format"}, "correct benchmark_image"),
        ({"rc": 0, "stdout": "?"}, "image inspect"),
        ({"rc": 0, "stdout": "[]"}, "image inspect"),
        ({"rc": 1, "stderr": "Error: something new"}, "Error: something new"),
    ],
)
def test_an_image_that_cannot_be_looked_at_is_one_line(inspected: dict[str, object], problem: str) -> None:
    found = container_image(inspected, host="pi-1", runtime="docker", image="python:3.9")
    assert (found.present, found.image_ids) == (False, ())
    assert str(found.problem).startswith("pi-1: ")
    assert problem in str(found.problem)
    assert "Next: " in str(found.problem)
    assert "\n" not in str(found.problem)


# What the pull ended with, words that the line must hold.
_HUB = 'Get "https://registry-1.docker.io/v2/"'
PULLS: dict[str, tuple[dict[str, object], str]] = {
    "unknown tag": (
        {
            "rc": 1,
            "stderr": "Error response from daemon: manifest for python:3.99 not found: manifest unknown",
        },
        "correct benchmark_image",
    ),
    "unknown name": (
        {
            "rc": 1,
            "stderr": "pull access denied for pyton, repository does not exist or may "
            "require 'docker login': denied: requested access to the resource is denied",
        },
        "correct benchmark_image",
    ),
    "unknown tag, containerd store": (
        {
            "rc": 1,
            "stderr": 'failed to resolve reference "docker.io/library/python:3.99": '
            "docker.io/library/python:3.99: not found",
        },
        "correct benchmark_image",
    ),
    "unknown tag, podman": (
        {
            "rc": 125,
            "stderr": "Error: initializing source docker://python:3.99: reading manifest 3.99 in "
            "docker.io/library/python: manifest unknown",
        },
        "correct benchmark_image",
    ),
    "short name, podman": (
        {
            "rc": 125,
            "stderr": 'Error: short-name "python:3.9" did not resolve to an alias and no unqualified-search '
            'registries are defined in "/etc/containers/registries.conf"',
        },
        "docker.io/library/python:3.9",
    ),
    "no name service": (
        {"rc": 1, "stderr": f"Error response from daemon: {_HUB}: dial tcp: lookup hub: no such host"},
        "registry can't be reached",
    ),
    "no way there, podman": (
        {
            "rc": 125,
            "stderr": "Trying to pull docker.io/library/python:3.9...\nError: initializing source "
            f"docker://python:3.9: pinging container registry: {_HUB}: dial tcp 1.2.3.4:443: i/o timeout",
        },
        "registry can't be reached",
    ),
    "a wrong clock": (
        {"rc": 1, "stderr": f"{_HUB}: x509: certificate has expired or is not yet valid"},
        "network and clock",
    ),
    "too many pulls": (
        {
            "rc": 1,
            "stderr": "Error response from daemon: toomanyrequests: You have reached your pull rate limit.",
        },
        "docker login",
    ),
    "another processor": (
        {"rc": 1, "stderr": "no matching manifest for linux/arm/v6 in the manifest list entries"},
        "not built for this kind of processor",
    ),
    "disk full": (
        {"rc": 1, "stderr": "write /var/lib/docker/tmp/x: no space left on device"},
        "disk is full",
    ),
    "timeout": ({"rc": 124, "stderr": ""}, "within 600 s"),
    "something new": ({"rc": 1, "stderr": "a\nsomething new\n"}, "(something new)"),
}


@pytest.mark.parametrize(("pulled", "words"), PULLS.values(), ids=PULLS.keys())
def test_a_failed_pull_is_one_line_with_the_next_step(pulled: dict[str, object], words: str) -> None:
    absent = {"rc": 1, "stderr": "Error: No such image: python:3.9"}
    found = container_image(
        absent, host="pi-1", runtime="docker", image="python:3.9", pulled=pulled, pull_timeout_seconds=600
    )
    assert str(found.problem).startswith("pi-1: ")
    assert words in str(found.problem)
    assert "Next: " in str(found.problem)
    assert "\n" not in str(found.problem)


# What the search and the removal ended with; the ids to remove, words of the problem.
ID = "0123456789ab"
LEFT: dict[str, tuple[dict[str, object], dict[str, object] | None, tuple[str, ...], str | None]] = {
    "nothing was looked for": ({}, None, (), None),
    "none": ({"rc": 0, "stdout": ""}, None, (), None),
    "two": ({"rc": 0, "stdout": f"{ID}\n{ID}0\n"}, None, (ID, f"{ID}0"), None),
    "something else on the output": ({"rc": 0, "stdout": f"Emulate Docker CLI\n{ID}"}, None, (ID,), None),
    "no runtime": ({"rc": 127, "stderr": "timeout: failed to run command 'docker'"}, None, (), None),
    "daemon down": ({"rc": 1, "stderr": DAEMON_DOWN["Docker 29"]}, None, (), None),
    "daemon hangs": ({"rc": 124}, None, (), "docker does not answer"),
    "removed": ({"rc": 0, "stdout": ID}, {"rc": 0, "stdout": ID}, (ID,), None),
    "its end came first": (
        {"rc": 0, "stdout": ID},
        {"rc": 1, "stderr": f"Error response from daemon: removal of container {ID} is already in progress"},
        (ID,),
        None,
    ),
    "gone already": (
        {"rc": 0, "stdout": ID},
        {"rc": 1, "stderr": f"Error: No such container: {ID}"},
        (ID,),
        None,
    ),
    "removal hangs": ({"rc": 0, "stdout": ID}, {"rc": 124}, (ID,), "docker does not answer"),
    "refuses to die": (
        {"rc": 0, "stdout": ID},
        {
            "rc": 1,
            "stderr": "Error response from daemon: could not kill: tried to kill container, but did not exit",
        },
        (ID,),
        f"ssh pi-1 docker rm --force {ID}",
    ),
}


@pytest.mark.parametrize(("listed", "removed", "ids", "words"), LEFT.values(), ids=LEFT.keys())
def test_what_is_left_of_an_earlier_run(
    listed: dict[str, object], removed: dict[str, object] | None, ids: tuple[str, ...], words: str | None
) -> None:
    left = left_containers(listed, host="pi-1", runtime="docker", removed=removed)
    assert left.ids == ids
    assert (left.problem is None) == (words is None)
    assert words is None or words in str(left.problem)


@pytest.mark.parametrize(
    ("delta", "seconds"),
    [("0:00:01.500000", 1.5), ("1:02:03", 3723.0), ("1 day, 0:00:01.000001", 86401.000001)],
)
def test_the_duration_of_a_command(delta: str, seconds: float) -> None:
    assert command_seconds(delta) == pytest.approx(seconds)


def test_a_duration_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="no duration"):
        command_seconds("None")
