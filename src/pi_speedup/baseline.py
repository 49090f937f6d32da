"""What came of the baseline's commands: the files to keep, and each failure as one line with its remedy.

Input are results of Ansible's command module: rc, stdout, stderr, msg and delta, as a dict.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pi_speedup.plain import one_line
from pi_speedup.results import baseline_result

# By coreutils' timeout, which sent TERM in time, or by the worker itself.
_TIMED_OUT = 124
# 128 + SIGKILL: by timeout, after TERM did not help, or by the kernel for want of memory.
_KILLED = 137
# 128 + SIGTERM, as the worker answers it.
_TOLD_TO_STOP = 143
_DELTA = re.compile(r"(?:(?P<days>\d+) days?, )?(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+(?:\.\d+)?)")
_CONTAINER_ID = re.compile(r"[0-9a-f]{12,64}")

# A runtime's own words, what they mean and what to do: the first row that matches wins. {said} is the line
# that matched. The words are those of Docker 20.10 to 29 and of podman 3 to 5.
_Words = tuple[tuple[str, str, str], ...]
_RUNTIME_WORDS: _Words = (
    (
        r"permission denied while trying to connect|dial unix .*permission denied",
        "permission denied on {runtime}'s socket",
        "ssh {host} 'sudo usermod -aG {runtime} $USER', then log in again and wait a minute: Ansible keeps "
        "its connection that long",
    ),
    (
        r"cannot connect to the docker daemon|failed to connect to the docker api|cannot connect to podman"
        r"|is the docker daemon running",
        "the {runtime} daemon is down ({said})",
        "ssh {host} sudo systemctl start {runtime}",
    ),
    (
        r"no space left on device",
        "its disk is full ({said})",
        "ssh {host} df -h, and {runtime} system df for what images take",
    ),
    (
        r"invalid reference format",
        "{image} is no name of an image",
        "correct benchmark_image, such as python:3.9",
    ),
)
_PULL_WORDS: _Words = (
    (
        r"toomanyrequests|rate limit|too many requests",
        "the registry lets {runtime} pull no more images for a while ({said})",
        "ssh {host} {runtime} login, or load image {image} there from a file: {runtime} load",
    ),
    (
        r"no matching manifest|no match for platform|no image found in (manifest list|image index)",
        "image {image} is not built for this kind of processor ({said})",
        "set benchmark_image to one that is",
    ),
    (
        r"short-name .* did not resolve",
        "{runtime} does not know from which registry image {image} is",
        "set benchmark_image to its full name, such as docker.io/library/python:3.9",
    ),
    (
        r"dial tcp|no such host|connection refused|connection reset|i/o timeout|client\.timeout"
        r"|handshake timeout|network is unreachable|no route to host|name resolution|x509:"
        r"|context deadline exceeded|request canceled|server gave http response|\bEOF$",
        "image {image} is missing and its registry can't be reached ({said})",
        "see to the Pi's network and clock, or load the image there from a file: {runtime} load",
    ),
    (
        r"manifest unknown|name unknown|not found|does not exist|access denied"
        r"|access to the resource is denied|unauthorized",
        "no registry has image {image}, or it is a private one ({said})",
        "correct benchmark_image, or ssh {host} {runtime} login",
    ),
)
_RUN_WORDS: _Words = (
    (
        r"executable file .*not found|python3: no such file",
        "image {image} holds no python3 ({said})",
        "set benchmark_image to one with Python 3.9 or later",
    ),
    (
        r"exec format error|exec user process caused",
        "image {image} is not built for this kind of processor ({said})",
        "remove it there ({runtime} rmi {image}) and pull it anew",
    ),
    (
        r"minimum memory limit|oom-killed|memory limit too low|\(oom",
        "the memory limit is too low to start the container ({said})",
        "raise benchmark_memory_limit_mib",
    ),
    (
        r"no such image|image not known|no such object",
        "image {image} was removed meanwhile",
        "run again",
    ),
    (
        r"error waiting for container|error during connect|unexpected eof",
        "the {runtime} daemon went away meanwhile ({said})",
        "ssh {host} journalctl -u {runtime}",
    ),
    (
        r"cgroup.*controller|controller.*not (available|delegated)|cpu cfs .*(can not|cannot)",
        "{runtime} can't limit CPU or memory there ({said})",
        "add cgroup_memory=1 cgroup_enable=memory to the kernel's command line; podman also needs a user "
        "who may set limits",
    ),
)


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """The image as the Pi's container runtime has it; `problem` is one line where that can't be said.

    `image_id` is the one to show, `image_ids` are all that can be compared.
    """

    present: bool
    image_id: str | None
    image_ids: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class LeftContainers:
    """Containers to remove, and one line where that failed."""

    ids: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class BaselineFiles:
    """Files to write (path in the run's folder -> text or data) and one line for each failed baseline."""

    files: Mapping[str, object]
    problems: tuple[str, ...]


def baseline_cases(run: Mapping[str, object]) -> list[dict[str, object]]:
    """Return what to measure on one Pi for the run's settings (run.json): scaling, samples and name of each.

    strong: one Pi does the work of all pods; weak: the work of one pod.
    """
    pis, samples, scalings = run["pis"], run["samples_per_pod"], run["scalings"]
    assert isinstance(pis, list) and isinstance(samples, int) and isinstance(scalings, list)
    return [
        {
            "scaling": scaling,
            "samples": samples * (len(pis) if scaling == "strong" else 1),
            "name": f"pi-speedup-{run['run_id']}-{scaling}",
        }
        for scaling in scalings
    ]


def left_containers(
    listed: Mapping[str, object], *, host: str, runtime: str, removed: Mapping[str, object] | None = None
) -> LeftContainers:
    """Read the outcome of `docker ps --all --quiet` (or podman's) on host, and of their removal, if any.

    A Pi without the runtime, with its daemon down, or whose user may not use it, has none that could be
    removed: whoever wants to run one there is told so.
    """
    lines = str(listed.get("stdout") or "").split() if listed.get("rc") == 0 else []
    ids = tuple(line for line in lines if _CONTAINER_ID.fullmatch(line))
    # With --rm the runtime removes them too, and may come first.
    said = _said(removed) if removed is not None else ""
    gone = re.search(r"already in progress|no such container|no container with", said, re.IGNORECASE)
    if listed.get("rc") == _TIMED_OUT or (removed is not None and removed.get("rc") == _TIMED_OUT):
        return LeftContainers(ids, _no_answer(host, runtime))
    if removed is None or removed.get("rc") == 0 or gone:
        return LeftContainers(ids, None)
    return LeftContainers(
        ids,
        f"{host}: an earlier container of ours could not be removed ({_last_line(removed)}). "
        f"Next: ssh {host} {runtime} rm --force {one_line(' '.join(ids), 80)}",
    )


def container_image(
    inspected: Mapping[str, object],
    *,
    host: str,
    runtime: str,
    image: str,
    pulled: Mapping[str, object] | None = None,
    pull_timeout_seconds: int | None = None,
) -> ContainerImage:
    """Read the outcome of `docker image inspect IMAGE` (or podman's) on host, and of the pull, if any.

    The id to show is the first repository digest (NAME@sha256:..., what
    Kubernetes shows too), else the id of the image's configuration.
    """
    if inspected.get("rc") == 0:
        try:
            image_ids = _image_ids(json.loads(str(inspected.get("stdout")))[0], image)
            return ContainerImage(True, image_ids[0], image_ids, None)
        except (ValueError, LookupError, TypeError, AttributeError):
            text = one_line(inspected.get("stdout"), 120)
            return ContainerImage(
                False,
                None,
                (),
                f"{host}: {runtime} describes image {image} as {text!r}. "
                f"Next: ssh {host} {runtime} image inspect {image}",
            )
    names = {"host": host, "runtime": runtime, "image": image}
    if re.search(r"no such image|image not known|no such object", _said(inspected), re.IGNORECASE):
        if pulled is None:
            return ContainerImage(False, None, (), None)
        if pulled.get("rc") == _TIMED_OUT:
            return ContainerImage(
                False,
                None,
                (),
                f"{host}: {runtime} did not pull image {image} within {pull_timeout_seconds} s. "
                f"Next: ssh {host} {runtime} pull {image}, then run again",
            )
        problem = (
            _in_own_words(pulled, _RUNTIME_WORDS + _PULL_WORDS, names)
            or f"{host}: {runtime} could not pull image {image} ({_last_line(pulled)}). "
            f"Next: ssh {host} {runtime} pull {image}"
        )
        return ContainerImage(False, None, (), problem)
    problem = (
        _not_there(inspected, host, runtime)
        or _in_own_words(inspected, _RUNTIME_WORDS, names)
        or (
            _no_answer(host, runtime)
            if inspected.get("rc") == _TIMED_OUT
            else f"{host}: {runtime} can't look at image {image} ({_last_line(inspected)}). "
            f"Next: ssh {host} {runtime} image inspect {image}"
        )
    )
    return ContainerImage(False, None, (), problem)


def _image_ids(inspected: Mapping[str, object], image: str) -> tuple[str, ...]:
    """Return all ids of an inspected image, those of manifests (NAME@sha256:...) first.

    Docker's Id is the configuration's digest, but with its containerd image
    store the manifest's: then it is among the repositories' digests, or the
    image's own descriptor. Podman leaves out sha256: before it.
    """
    found = inspected["Id"]
    repositories = inspected.get("RepoDigests") or []
    if not isinstance(found, str) or not isinstance(repositories, list):
        raise TypeError
    own = f"sha256:{found.removeprefix('sha256:')}"
    manifests = tuple(str(digest) for digest in repositories)
    if any(manifest.endswith(f"@{own}") for manifest in manifests):
        return manifests
    descriptor = inspected.get("Descriptor")
    if isinstance(descriptor, Mapping) and descriptor.get("digest") == own:
        return (*manifests, f"{image}@{own}")
    return (*manifests, own)


def baseline_files(
    outcomes: Sequence[Mapping[str, object]],
    *,
    host: str,
    runtime: str,
    image: str,
    image_id: str | None,
    image_ids: Sequence[str],
    cpu_limit_cores: float | None,
    run_id: str,
    timeout_seconds: int,
) -> BaselineFiles:
    """Return what to keep of the baselines that ran on host.

    outcomes: a command's result each, whose `item` holds scaling, samples and
    name. Every one leaves its log; one that is whole leaves its result too.
    Wall time in seconds is that of the whole command, start of the container
    included.
    """
    files: dict[str, object] = {}
    # Both baselines may fail for one reason, which is then said once.
    failed: dict[str, list[str]] = defaultdict(list)
    problems: list[str] = []
    in_container = runtime != "process"
    for outcome in outcomes:
        item = outcome["item"]
        assert isinstance(item, Mapping)
        scaling = str(item["scaling"])
        log = str(outcome.get("stdout") or "")
        files[f"logs/baseline-{scaling}.log"] = log + str(outcome.get("stderr") or "")
        if outcome.get("rc") != 0:
            problem = _problem(
                outcome, host=host, runtime=runtime, image=image, timeout_seconds=timeout_seconds
            )
            failed[problem].append(scaling)
            continue
        try:
            result = baseline_result(
                log,
                scaling=scaling,
                name=str(item["name"]),
                host=host,
                runtime=runtime,
                image=image if in_container else None,
                image_id=image_id if in_container else None,
                image_ids=image_ids if in_container else (),
                cpu_limit_cores=cpu_limit_cores,
                wall_seconds=command_seconds(str(outcome.get("delta"))),
                run_id=run_id,
                samples=int(item["samples"]),
            )
        except ValueError as error:
            problems.append(str(error))
            continue
        files[f"results/baseline-{scaling}.json"] = asdict(result)
    said = (f"{problem} (baseline for {' and '.join(which)} scaling)" for problem, which in failed.items())
    return BaselineFiles(files, (*said, *problems))


def command_seconds(delta: str) -> float:
    """Return the seconds of the command module's `delta`, for example 0:01:02.500000 or 1 day, 0:00:01.

    Raises ValueError for any other text.
    """
    found = _DELTA.fullmatch(delta)
    if not found:
        raise ValueError(f"{one_line(delta, 60)!r} is no duration of a command")
    hours = int(found["days"] or 0) * 24 + int(found["hours"])
    return (hours * 60 + int(found["minutes"])) * 60 + float(found["seconds"])


def runtime_problem(outcome: Mapping[str, object], *, host: str, runtime: str) -> str:
    """Return why the runtime cannot be used on host and what to do, from a command that asked for nothing."""
    names = {"host": host, "runtime": runtime, "image": "of the run"}
    known = _not_there(outcome, host, runtime) or _in_own_words(outcome, _RUNTIME_WORDS, names)
    if known is not None:
        return known
    if outcome.get("rc") == _TIMED_OUT:
        return _no_answer(host, runtime)
    return f"{host}: {runtime} can't be used ({_last_line(outcome)}). Next: ssh {host} {runtime} info"


def _said(outcome: Mapping[str, object]) -> str:
    return str(outcome.get("stderr") or outcome.get("msg") or outcome.get("stdout") or "")


def _problem(
    outcome: Mapping[str, object], *, host: str, runtime: str, image: str, timeout_seconds: int
) -> str:
    """Return what is wrong with a baseline and what to do next."""
    rc = outcome.get("rc")
    what = f"{host}: the baseline"
    known = _not_there(outcome, host, runtime)
    if known is None and runtime != "process":
        names = {"host": host, "runtime": runtime, "image": image}
        known = _in_own_words(outcome, _RUNTIME_WORDS + _RUN_WORDS, names)
    if known is not None:
        return known
    if rc == _TIMED_OUT or (rc == _KILLED and command_seconds(str(outcome.get("delta"))) >= timeout_seconds):
        return (
            f"{what} took longer than {timeout_seconds} s and was stopped. "
            "Next: lower benchmark_samples_per_pod or raise benchmark_timeout_seconds"
        )
    if rc == _KILLED:
        return (
            f"{what} was killed, most likely for want of memory. "
            "Next: raise benchmark_memory_limit_mib, or see what else uses memory there"
        )
    if rc == _TOLD_TO_STOP:
        return (
            f"{what} was stopped from outside before it was done. Next: see that no one stops it, run again"
        )
    return f"{what} ended with exit code {rc} ({_last_line(outcome)}). Next: read its log in the run's folder"


def _not_there(outcome: Mapping[str, object], host: str, runtime: str) -> str | None:
    """Return the line for a Pi on which Ansible finds no Python, or the command is missing."""
    said = _said(outcome)
    no_answer = "deserialization failed" in said
    if outcome.get("unreachable") or (no_answer and outcome.get("rc") not in (126, 127)):
        return (
            f"{host}: the connection broke, or Ansible was ended there ({_last_line(outcome)}). "
            "Next: check its power, network and memory, then run again; what was left there ends by itself"
        )
    if no_answer:
        return (
            f"{host}: Ansible found no working Python there ({one_line(said, 160)}). "
            f"Next: set ansible_python_interpreter for {host} in the inventory"
        )
    # ENOENT from the command module (it says little else), or the same from coreutils' timeout. A container
    # whose image lacks the program ends with 127 too, but in other words.
    rc = outcome.get("rc")
    no_command = rc == 2 and re.match(r"Error executing command|\[Errno 2\]", said)
    if not no_command and not (rc == 127 and (runtime == "process" or said.startswith("timeout: "))):
        return None
    command, setting = (
        ("the baseline's Python", "benchmark_baseline_python")
        if runtime == "process"
        else (runtime, "benchmark_baseline_runtime")
    )
    return (
        f"{host}: {command} is not there ({one_line(said, 160)}). "
        f"Next: install it there, or set {setting} to what is"
    )


def _no_answer(host: str, runtime: str) -> str:
    return (
        f"{host}: {runtime} does not answer. Next: ssh {host} {runtime} info, and restart the Pi if that "
        "hangs too"
    )


def _in_own_words(outcome: Mapping[str, object], words: _Words, names: Mapping[str, str]) -> str | None:
    """Return the line for the first row of `words` that a line of the output matches."""
    lines = _said(outcome)[-4096:].splitlines()
    for pattern, problem, next_step in words:
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                known = {**names, "said": one_line(line, 160)}
                return f"{names['host']}: {problem.format(**known)}. Next: {next_step.format(**known)}"
    return None


def _last_line(outcome: Mapping[str, object]) -> str:
    last = _said(outcome).strip().rsplit("\n", 1)[-1]
    return one_line(last.removeprefix("Task failed: ").rstrip(" :"), 200)
