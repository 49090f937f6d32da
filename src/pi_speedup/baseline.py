"""What came of the baseline's commands: the files to keep, and each failure as one line with its remedy.

Input are results of Ansible's command module: rc, stdout, stderr, msg and delta, as a dict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pi_speedup.plain import one_line
from pi_speedup.results import baseline_result

# coreutils' timeout: it sent TERM in time.
_TIMED_OUT = 124
# 128 + SIGKILL: by timeout, after TERM did not help, or by the kernel for want of memory.
_KILLED = 137
_DELTA = re.compile(r"(?:(?P<days>\d+) days?, )?(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """The image as the Pi's container runtime has it; `problem` is one line where that can't be said."""

    present: bool
    image_id: str | None
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


def container_image(
    inspected: Mapping[str, object],
    *,
    host: str,
    runtime: str,
    image: str,
    pulled: Mapping[str, object] | None = None,
) -> ContainerImage:
    """Read the outcome of `docker image inspect IMAGE` (or podman's) on host, and of the pull, if any.

    The id is the first repository digest (NAME@sha256:..., what Kubernetes
    shows too), else the id of the image's configuration.
    """
    if inspected.get("rc") == 0:
        try:
            first = json.loads(str(inspected.get("stdout")))[0]
            digests = first.get("RepoDigests") or []
            return ContainerImage(True, str(digests[0] if digests else first["Id"]), None)
        except (ValueError, LookupError, TypeError, AttributeError):
            text = one_line(inspected.get("stdout"), 120)
            return ContainerImage(
                False,
                None,
                f"{host}: {runtime} describes image {image} as {text!r}. "
                f"Next: ssh {host} {runtime} image inspect {image}",
            )
    said = _said(inspected)
    if re.search(r"no such image|image not known|no such object", said, re.IGNORECASE):
        problem = None
        if pulled is not None:
            problem = (
                f"{host}: {runtime} could not pull image {image} ({_last_line(pulled)}). "
                f"Next: ssh {host} {runtime} pull {image}"
            )
        return ContainerImage(False, None, problem)
    return ContainerImage(False, None, _problem(inspected, host=host, runtime=runtime, image=image))


def baseline_files(
    outcomes: Sequence[Mapping[str, object]],
    *,
    host: str,
    runtime: str,
    image: str,
    image_id: str | None,
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
            problems.append(f"{problem} (baseline for {scaling} scaling)")
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
                cpu_limit_cores=cpu_limit_cores,
                wall_seconds=command_seconds(str(outcome.get("delta"))),
                run_id=run_id,
                samples=int(item["samples"]),
            )
        except ValueError as error:
            problems.append(str(error))
            continue
        files[f"results/baseline-{scaling}.json"] = asdict(result)
    return BaselineFiles(files, tuple(problems))


def command_seconds(delta: str) -> float:
    """Return the seconds of the command module's `delta`, for example 0:01:02.500000 or 1 day, 0:00:01.

    Raises ValueError for any other text.
    """
    found = _DELTA.fullmatch(delta)
    if not found:
        raise ValueError(f"{one_line(delta, 60)!r} is no duration of a command")
    hours = int(found["days"] or 0) * 24 + int(found["hours"])
    return (hours * 60 + int(found["minutes"])) * 60 + float(found["seconds"])


def _said(outcome: Mapping[str, object]) -> str:
    return str(outcome.get("stderr") or outcome.get("msg") or outcome.get("stdout") or "")


def _problem(
    outcome: Mapping[str, object], *, host: str, runtime: str, image: str, timeout_seconds: int | None = None
) -> str:
    """Return what is wrong and what to do next; the patterns are docker's and podman's own words."""
    said = _said(outcome)
    rc = outcome.get("rc")
    what = f"{host}: the baseline"
    if "deserialization failed" in said:
        return (
            f"{host}: Ansible found no working Python there ({one_line(said, 160)}). "
            f"Next: set ansible_python_interpreter for {host} in the inventory"
        )
    # ENOENT from the command module (it says little else), or the same from coreutils' timeout.
    missing = rc == 2 and re.match(r"Error executing command|\[Errno 2\]", said)
    if rc == 127 or missing:
        command, setting = (
            ("the baseline's Python", "benchmark_baseline_python")
            if runtime == "process"
            else (runtime, "benchmark_baseline_runtime")
        )
        return (
            f"{host}: {command} is not there ({one_line(said, 160)}). "
            f"Next: install it there, or set {setting} to what is"
        )
    if rc == _TIMED_OUT or (
        rc == _KILLED and timeout_seconds and command_seconds(str(outcome.get("delta"))) >= timeout_seconds
    ):
        return (
            f"{what} took longer than {timeout_seconds} s and was stopped. "
            "Next: lower benchmark_samples_per_pod or raise benchmark_timeout_seconds"
        )
    if rc == _KILLED:
        return (
            f"{what} was killed, most likely for want of memory. "
            "Next: raise benchmark_memory_limit_mib, or see what else uses memory there"
        )
    if "permission denied" in said.lower() and "connect" in said.lower():
        return (
            f"{host}: permission denied on {runtime}'s socket. "
            f"Next: ssh {host} sudo usermod -aG {runtime} $USER, then log in again"
        )
    if re.search(r"cannot connect to the docker daemon|is the docker daemon running", said, re.IGNORECASE):
        return f"{host}: the docker daemon is down. Next: ssh {host} sudo systemctl start docker"
    return f"{what} ended with exit code {rc} ({_last_line(outcome)}). Next: read its log in the run's folder"


def _last_line(outcome: Mapping[str, object]) -> str:
    return one_line(_said(outcome).strip().rsplit("\n", 1)[-1], 200)
