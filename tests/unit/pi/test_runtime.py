"""docker's, podman's and a process's own words: what each outcome means, as one line with the next step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pi_speedup.model.settings import Settings
from pi_speedup.pi.runtime import (
    image_ids,
    inspect_problem,
    is_absent,
    pull_problem,
    removal_problem,
    run_problem,
    runtime_problem,
)
from pi_speedup.pi.shell import Outcome

# Said by podman 4.3.1 of Debian 12.
RECORDED = Path(__file__).parent / "podman-4.3"
LOG = "logs/r001-00-alone/x.log"
SETTINGS = Settings(timeout_seconds=60)
NAMES = {"pi": "pi-1", "runtime": "docker", "image": "python:3.9"}
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


def assert_one_line(line: str, words: str) -> None:
    assert line.startswith("pi-1: ")
    assert words in line
    assert line.count(". Next: ") == 1
    assert line.isprintable()


# Exit code, seconds and words that the command ended with, words that the line must hold.
FAILURES: dict[str, tuple[int, float, str, str]] = {
    "no binary": (
        127,
        1.5,
        "timeout: failed to run command 'docker': No such file or directory",
        "docker is not there",
    ),
    "daemon goes away": (
        125,
        1.5,
        'time="2026-11-24T07:15:30Z" level=error msg="error waiting for container: EOF"',
        "journalctl -u docker",
    ),
    "timeout": (124, 60.1, "", "took longer than 60 s"),
    "timeout, by the worker itself": (
        124,
        1.5,
        "pi_worker: not finished after 60 s, so it ended itself\n",
        "took longer than 60 s",
    ),
    "timeout, deaf to TERM": (137, 70.1, "", "took longer than 60 s"),
    "out of memory": (137, 1.5, "", "want of memory"),
    "too little memory for Docker": (
        125,
        1.5,
        "docker: Error response from daemon: Minimum memory limit allowed is 6MB.\n",
        "benchmark_memory_limit_mib",
    ),
    "too little memory to start": (
        125,
        1.5,
        "OCI runtime create failed: container init was OOM-killed (memory limit too low?)",
        "benchmark_memory_limit_mib",
    ),
    "stopped by someone": (143, 1.5, "", "stopped from outside"),
    "no python3 in it, docker": (
        127,
        1.5,
        'docker: Error response from daemon: OCI runtime create failed: exec: "python3": '
        "executable file not found in $PATH: unknown.",
        "holds no python3",
    ),
    "no python3 in it, podman": (
        127,
        1.5,
        'Error: runc: exec: "python3": executable file not found in $PATH: OCI runtime attempted '
        "to invoke a command that was not found",
        "holds no python3",
    ),
    "for another processor": (
        1,
        1.5,
        "WARNING: The requested image's platform (linux/amd64) does not match\nexec "
        "/usr/local/bin/python3: exec format error",
        "not built for this kind of processor",
    ),
    "image gone meanwhile": (
        125,
        1.5,
        "docker: Error response from daemon: No such image: python:3.9.",
        "removed meanwhile",
    ),
    "disk full": (
        125,
        1.5,
        "Error response from daemon: mkdir /var/lib/docker/x: no space left on device.",
        "disk is full",
    ),
    "podman may not limit": (
        126,
        1.5,
        "Error: OCI runtime error: crun: the requested cgroup controller `cpu` is not available",
        "Delegate=cpu memory pids",
    ),
    "worker fails": (1, 1.5, "a\nMemoryError\n", "exit code 1 (MemoryError)"),
    "something new": (
        125,
        1.5,
        "docker: Error response from daemon: something new.\n\n"
        "Run 'docker run --help' for more information\n",
        "exit code 125 (docker: Error response from daemon: something new) [PS-611]. Next: ",
    ),
    "nothing said": (1, 1.5, "", "exit code 1 (no word)"),
    "fewer cores than processes": (
        125,
        1.5,
        "docker: Error response from daemon: range of CPUs is from 0.01 to 4.00, as there are only "
        "4 CPUs available.",
        "lower benchmark_processes_per_pi",
    ),
    "no CPU quota in the kernel": (
        125,
        1.5,
        "docker: Error response from daemon: NanoCPUs can not be set, as your kernel does not support "
        "CPU CFS "
        "scheduler or the cgroup is not mounted.",
        "can't limit the CPU there",
    ),
    **{
        f"daemon down, {version}": (125, 1.5, f"docker: {said}", "systemctl start docker")
        for version, said in DAEMON_DOWN.items()
    },
    **{
        f"not allowed, {version}": (126, 1.5, f"docker: {said}", "usermod -aG docker")
        for version, said in NOT_ALLOWED.items()
    },
}


@pytest.mark.fault(
    "kernel without CPU quota",
    "pi-1: docker can't limit the CPU there: the kernel has no CPU quota, or its cgroup is not there "
    "(NanoCPUs "
    "can not be set …) [PS-606]. Next: boot a kernel with CONFIG_CFS_BANDWIDTH, as Raspberry Pi OS has "
    "it; or "
    "set benchmark_base_runtime: process",
    kept="trials",
    row="no CPU quota in the kernel",
)
@pytest.mark.parametrize(("rc", "seconds", "said", "words"), FAILURES.values(), ids=FAILURES)
def test_each_failure_is_one_line_with_the_next_step(rc: int, seconds: float, said: str, words: str) -> None:
    found = run_problem(Outcome(rc, said), pi="pi-1", settings=SETTINGS, seconds=seconds, log=LOG)
    assert_one_line(str(found), words)


def test_a_process_that_is_not_there_is_not_a_container() -> None:
    missing = Outcome(127, "taskset: failed to execute python9: No such file or directory")
    settings = Settings(base_runtime="process")
    found = run_problem(missing, pi="pi-1", settings=settings, seconds=0.1, log=LOG)
    assert_one_line(str(found), "set benchmark_base_python")


def test_what_a_process_says_is_not_docker_s() -> None:
    said = Outcome(1, "OSError: [Errno 28] No space left on device")
    found = run_problem(said, pi="pi-1", settings=Settings(base_runtime="process"), seconds=1, log=LOG)
    assert "exit code 1 (OSError: [Errno 28] No space left on device)" in str(found)


def told(**image: object) -> Outcome:
    """The outcome of an inspection that found an image."""
    return Outcome(0, f"Emulate Docker CLI using podman.\n{json.dumps([image], indent=5)}")


@pytest.mark.parametrize(
    ("inspected", "ids"),
    [
        (told(Id="sha256:1", RepoDigests=["python@sha256:2"]), ("python@sha256:2", "sha256:1")),
        (told(Id="sha256:1", RepoDigests=[]), ("sha256:1",)),
        (told(Id="sha256:1"), ("sha256:1",)),
        (told(Id="sha256:2", RepoDigests=["python@sha256:2"]), ("python@sha256:2",)),
        (
            told(Id="sha256:2", RepoDigests=[], Descriptor={"digest": "sha256:2"}),
            ("python:3.9@sha256:2",),
        ),
        (
            told(Id="1", Digest="sha256:2", RepoDigests=["a@sha256:2", "a@sha256:3"]),
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
def test_the_ids_of_an_image(inspected: Outcome, ids: tuple[str, ...]) -> None:
    assert image_ids(inspected, "python:3.9") == ids


def test_the_ids_of_an_image_as_podman_4_3_describes_it() -> None:
    inspected = Outcome(0, (RECORDED / "image-inspect.txt").read_text())
    assert image_ids(inspected, "localhost/bb:1") == (
        "localhost/bb@sha256:4d9cb5bc0a90ecded9f8e8653468d807a8cf237f6dd40c5aa219f49243034a19",
        "sha256:d3fd96f1dfb8c1b9b05e1590eb377649957c9e40f7852353bd56f143a0dcb00a",
    )


@pytest.mark.parametrize(
    "said",
    [
        "[]\nError: inspecting object: localhost/none:1: image not known",
        "Error: No such image: python:3.9",
        "Error response from daemon: No such image: python:3.9",
        "Error: inspecting object: python:3.9: image not known",
        'Error: error inspecting object: no such object: "python:3.9"',
    ],
    ids=["podman 4.3, recorded", "Docker 20.10", "Docker 28", "podman 4", "podman 3"],
)
def test_an_absent_image_is_not_a_problem_yet(said: str) -> None:
    assert is_absent(Outcome(1, said))


@pytest.mark.parametrize(
    ("inspected", "words"),
    [
        *((Outcome(1, said), "systemctl start docker") for said in DAEMON_DOWN.values()),
        *((Outcome(1, said), "usermod -aG docker") for said in NOT_ALLOWED.values()),
        (Outcome(127, "timeout: failed to run command 'docker': No such file"), "docker is not there"),
        (Outcome(127, "timeout: can't execute 'docker': No such file"), "docker is not there"),
        (Outcome(124, ""), "docker does not answer"),
        (Outcome(1, "invalid reference format"), "correct benchmark_image"),
        (Outcome(0, "?"), "image inspect"),
        (Outcome(0, "{}"), "image inspect"),
        (Outcome(0, "[]"), "image inspect"),
        (Outcome(0, "[[]]"), "image inspect"),
        (Outcome(1, "Error: something new"), "Error: something new"),
    ],
)
def test_an_image_that_cannot_be_looked_at_is_one_line(inspected: Outcome, words: str) -> None:
    assert not is_absent(inspected)
    assert image_ids(inspected, "python:3.9") is None
    assert_one_line(str(inspect_problem(inspected, **NAMES)), words)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Outcome(1, DAEMON_DOWN["Docker 29"]), "systemctl start docker"),
        (Outcome(2, "[Errno 2] No such file or directory: 'docker'"), "docker is not there"),
        (Outcome(124, "no answer within 10 s"), "docker does not answer"),
        (Outcome(1, "segfault"), "docker can't be used (segfault)"),
    ],
)
def test_a_runtime_that_cannot_be_used_is_one_line(asked: Outcome, words: str) -> None:
    assert_one_line(str(runtime_problem(asked, pi="pi-1", runtime="docker")), words)


NO_LIMITS = {
    "rootless": None,
    "root": None,
    "rootless-no-session": "no systemd session [PS-606]. Next: ssh pi-1 'sudo apt install dbus-user-session",
    "rootless-not-delegated": "no memory there [PS-606]. Next: ssh pi-1 'sudo mkdir -p /etc/systemd",
    "rootless-cgroup-v1": "limits under cgroup v1 [PS-606]. Next: set benchmark_base_runtime: docker",
}


@pytest.mark.fault(
    "rootless podman without a systemd session of its user: it would ignore the limits",
    "pi-1: rootless podman ignores limits there: its user has no systemd session [PS-606]. Next: ssh pi-1 "
    "'sudo apt install dbus-user-session && sudo loginctl enable-linger $USER'",
    kept="nothing begun",
    row="rootless-no-session",
)
@pytest.mark.fault(
    "rootless podman to which systemd delegates no cpu controller",
    "pi-1: systemd lets rootless podman limit no CPU time or no memory there [PS-606]. Next: ssh pi-1 "
    "'sudo mkdir -p /etc/systemd/system/user@.service.d && …",
    kept="nothing begun",
    row="rootless-not-delegated",
)
@pytest.mark.fault(
    "rootless podman under cgroup v1",
    "pi-1: rootless podman ignores limits under cgroup v1 [PS-606]. Next: set benchmark_base_runtime: "
    "docker, or start the Pi with cgroup v2",
    kept="nothing begun",
    row="rootless-cgroup-v1",
)
@pytest.mark.parametrize(("name", "words"), NO_LIMITS.items(), ids=NO_LIMITS)
def test_podman_that_would_ignore_the_limits_is_refused(name: str, words: str | None) -> None:
    asked = Outcome(0, (RECORDED / f"info-{name}.json").read_text())
    found = runtime_problem(asked, pi="pi-1", runtime="podman")
    if words is None:
        assert found is None
    else:
        assert_one_line(str(found), words)


# Exit code and words that the pull ended with, words that the line must hold.
PULLS: dict[str, tuple[int, str, str]] = {
    "unknown tag": (
        1,
        "Error response from daemon: manifest for python:3.99 not found: manifest unknown",
        "correct benchmark_image",
    ),
    "unknown name": (
        1,
        "pull access denied for pyton, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied",
        "correct benchmark_image",
    ),
    "unknown tag, containerd store": (
        1,
        'failed to resolve reference "docker.io/library/python:3.99": '
        "docker.io/library/python:3.99: not found",
        "correct benchmark_image",
    ),
    "unknown tag, podman": (
        125,
        "Error: initializing source docker://python:3.99: reading manifest 3.99 in "
        "docker.io/library/python: manifest unknown",
        "correct benchmark_image",
    ),
    "short name, podman": (
        125,
        'Error: short-name "python:3.9" did not resolve to an alias and no unqualified-search '
        'registries are defined in "/etc/containers/registries.conf"',
        "docker.io/library/python:3.9",
    ),
    "no name service": (
        1,
        'Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup hub: '
        "no such host",
        "registry can't be reached",
    ),
    "no way there, podman": (
        125,
        "Trying to pull docker.io/library/python:3.9...\nError: initializing source "
        'docker://python:3.9: pinging container registry: Get "https://registry-1.docker.io/v2/": '
        "dial tcp 1.2.3.4:443: i/o timeout",
        "registry can't be reached",
    ),
    "a wrong clock": (
        1,
        'Get "https://registry-1.docker.io/v2/": x509: certificate has expired or is not yet valid',
        "Next: compare the clocks (date here, ssh pi-1 date)",
    ),
    "a registry over http": (
        1,
        'Error response from daemon: Get "https://registry.home:5000/v2/": http: server gave HTTP '
        "response to "
        "HTTPS client",
        "into insecure-registries of /etc/docker/daemon.json",
    ),
    "an authority of its own": (
        1,
        'Error response from daemon: Get "https://registry.home:5000/v2/": tls: failed to verify '
        "certificate: "
        "x509: certificate signed by unknown authority",
        "/certs.d/",
    ),
    "too many pulls": (
        1,
        "Error response from daemon: toomanyrequests: You have reached your pull rate limit.",
        "docker login",
    ),
    "another processor": (
        1,
        "no matching manifest for linux/arm/v6 in the manifest list entries",
        "not built for this kind of processor",
    ),
    "disk full": (1, "write /var/lib/docker/tmp/x: no space left on device", "disk is full"),
    "timeout": (124, "", "within 1800 s"),
    "something new": (1, "a\nsomething new\n", "(something new)"),
}


@pytest.mark.fault(
    "docker pull: 429",
    "pi-1: the registry lets docker pull no more images for a while (Error response from "
    "daemon: toomanyrequests: You have reached your pull rate limit) [PS-502]. Next: ssh "
    "pi-1 docker login, or load image python:3.9 there from a file: docker load",
    kept="trials",
    row="too many pulls",
)
@pytest.mark.fault(
    "private registry over http, Docker",
    "pi-1: image python:3.9 is missing and its registry answers by http (…) [PS-501]. Next: allow that "
    "there: "
    "ssh pi-1, and for docker put docker.io into insecure-registries of /etc/docker/daemon.json and "
    "restart it "
    "(what runs in it ends), …",
    kept="nothing begun",
    row="a registry over http",
)
@pytest.mark.fault(
    "private registry with an authority of its own, Docker",
    "pi-1: image python:3.9 is missing and docker does not know who signed its registry's certificate (…) "
    "[PS-501]. Next: bring the registry's authority there, as /etc/docker/certs.d/docker.io/ca.crt; no "
    "restart "
    "is needed",
    kept="nothing begun",
    row="an authority of its own",
)
@pytest.mark.parametrize(("rc", "said", "words"), PULLS.values(), ids=PULLS)
def test_a_failed_pull_is_one_line_with_the_next_step(rc: int, said: str, words: str) -> None:
    assert_one_line(str(pull_problem(Outcome(rc, said), **NAMES)), words)


# What the search and the removal ended with; words of the problem.
ID = "0123456789ab"
LEFT: dict[str, tuple[Outcome, Outcome | None, str | None]] = {
    "none": (Outcome(0, ""), None, None),
    "no runtime": (Outcome(127, "timeout: failed to run command 'docker'"), None, None),
    "daemon down": (Outcome(1, DAEMON_DOWN["Docker 29"]), None, None),
    "daemon hangs": (Outcome(124, ""), None, "docker does not answer"),
    "removed": (Outcome(0, ID), Outcome(0, ID), None),
    "its end came first": (
        Outcome(0, ID),
        Outcome(1, f"Error response from daemon: removal of container {ID} is already in progress"),
        None,
    ),
    "gone already": (Outcome(0, ID), Outcome(1, f"Error: No such container: {ID}"), None),
    "removal hangs": (Outcome(0, ID), Outcome(124, ""), "docker does not answer"),
    "refuses to die": (
        Outcome(0, ID),
        Outcome(1, "could not kill: tried to kill container, but did not exit"),
        f"ssh pi-1 docker rm --force {ID}",
    ),
}


@pytest.mark.parametrize(("listed", "removed", "words"), LEFT.values(), ids=LEFT)
def test_what_is_left_of_an_earlier_run(listed: Outcome, removed: Outcome | None, words: str | None) -> None:
    problem = removal_problem(listed, removed, [ID], pi="pi-1", runtime="docker")
    if words is None:
        assert problem is None
    else:
        assert_one_line(str(problem), words)
