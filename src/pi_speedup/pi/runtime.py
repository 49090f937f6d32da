"""docker, podman or no container: the command for a base case, and what its outcome means."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pi_speedup.codes import Code
from pi_speedup.model.plan import Cell, Plan, Slot
from pi_speedup.model.settings import Settings
from pi_speedup.pi.shell import Outcome
from pi_speedup.problem import Problem
from pi_speedup.text import LINE_LIMIT, innermost, one_line
from pi_speedup.workload import Assignment, workload_of

# The label of all our containers, whoever's. Anybody may set it: whose one is, its owner's uid says.
LABEL = "app.kubernetes.io/managed-by=pi-speedup"
OWNER_LABEL, NAMESPACE_LABEL = "pi-speedup/owner", "pi-speedup/namespace"
# Longest time for the pull of the image: some 350 MB for python:3.9.
PULL_SECONDS = 1800
_MOST_DIGESTS = 20
# Of what a runtime says: the line around it stays below 200 characters.
_SAID_LIMIT = 120

# By coreutils' timeout, which sent TERM in time, or by the worker itself.
TIMED_OUT = 124
# 128 + SIGKILL: by timeout, after TERM did not help, or by the kernel for want of memory.
_KILLED = 137
# 128 + SIGTERM, as the worker answers it.
_TOLD_TO_STOP = 143
_MORE_HELP = ("See 'docker run --help'", "Run 'docker run --help'")

# What kind of problem it is, a runtime's own words, what they mean and what to do: the first row that matches
# wins. {said} is the line that matched. The words are those of Docker 20.10 to 29 and of podman 3 to 5.
_Words = tuple[tuple[Code, str, str, str], ...]
_RUNTIME_WORDS: _Words = (
    (
        Code.RUNTIME_FORBIDDEN,
        r"permission denied while trying to connect|dial unix .*permission denied",
        "permission denied on {runtime}'s socket",
        "ssh {pi} 'sudo groupadd -f {runtime} && sudo usermod -aG {runtime} $USER' (where it is a snap, then "
        "sudo snap restart {runtime}); wait a minute and run again: Ansible keeps its connection that long",
    ),
    (
        Code.RUNTIME_DOWN,
        r"(?:connect to|dial).*/run/user/\d+/(?:docker|podman)",
        "the rootless {runtime} daemon of this user is down ({said})",
        "ssh {pi} systemctl --user start {runtime}; loginctl enable-linger there keeps it up without a login",
    ),
    (
        Code.RUNTIME_DOWN,
        r"cannot connect to the docker daemon|failed to connect to the docker api|cannot connect to podman"
        r"|is the docker daemon running",
        "the {runtime} daemon is down ({said})",
        "ssh {pi} sudo systemctl start {runtime} (where it is a snap: sudo snap start {runtime})",
    ),
    (
        Code.PI_DISK_FULL,
        r"no space left on device",
        "its disk is full ({said})",
        "ssh {pi} df -h, and {runtime} system df for what images take",
    ),
    (
        Code.IMAGE_UNAVAILABLE,
        r"invalid reference format",
        "{image} is not a valid name of an image",
        "correct benchmark_image, such as python:3.9",
    ),
)
_PULL_WORDS: _Words = (
    (
        Code.IMAGE_RATE_LIMIT,
        r"toomanyrequests|rate limit|too many requests",
        "the registry lets {runtime} pull no more images for a while ({said})",
        "ssh {pi} {runtime} login, or load image {image} there from a file: {runtime} load",
    ),
    (
        Code.IMAGE_FOR_OTHER_PROCESSOR,
        r"no matching manifest|no match for platform|no image found in (manifest list|image index)",
        "image {image} is not built for this kind of processor ({said})",
        "set benchmark_image to one that is",
    ),
    (
        Code.IMAGE_UNAVAILABLE,
        r"short-name .* did not resolve",
        "{runtime} does not know from which registry image {image} is",
        "set benchmark_image to its full name, such as docker.io/library/python:3.9",
    ),
    (
        Code.IMAGE_UNAVAILABLE,
        r"server gave http response to https client",
        "image {image} is missing and its registry answers by http ({said})",
        "allow that there: ssh {pi}, and for docker put {registry} into insecure-registries of "
        "/etc/docker/daemon.json and restart it (what runs in it ends), for podman insecure = true into "
        "/etc/containers/registries.conf",
    ),
    (
        Code.IMAGE_UNAVAILABLE,
        r"x509: certificate signed by unknown authority|x509: certificate is not trusted|self-?signed cert",
        "image {image} is missing and {runtime} does not know who signed its registry's certificate ({said})",
        "bring the registry's authority there, as /etc/{certs}/certs.d/{registry}/ca.crt; no restart is "
        "needed",
    ),
    (
        Code.IMAGE_UNAVAILABLE,
        r"x509: certificate has expired|not yet valid",
        "image {image} is missing and its registry's certificate is not valid now by this Pi's clock "
        "({said})",
        "compare the clocks (date here, ssh {pi} date); if they agree, the registry needs a new certificate",
    ),
    (
        Code.IMAGE_UNAVAILABLE,
        r"dial tcp|no such host|connection refused|connection reset|i/o timeout|client\.timeout"
        r"|handshake timeout|network is unreachable|no route to host|name resolution|x509:"
        r"|context deadline exceeded|request canceled|\bEOF$",
        "image {image} is missing and its registry can't be reached ({said})",
        "ssh {pi} {runtime} pull {image} shows whether it lasts; without a network there, preload.yml brings "
        "the image",
    ),
    (
        Code.IMAGE_UNAVAILABLE,
        r"manifest unknown|name unknown|not found|does not exist|access denied"
        r"|access to the resource is denied|unauthorized",
        "no registry has image {image}, or it is a private one ({said})",
        "correct benchmark_image, or ssh {pi} {runtime} login",
    ),
)
_RUN_WORDS: _Words = (
    (
        Code.IMAGE_WITHOUT_INTERPRETER,
        r"executable file .*not found|(python3|sh): no such file",
        "image {image} holds no {interpreter} ({said})",
        "{with_interpreter}",
    ),
    (
        Code.IMAGE_FOR_OTHER_PROCESSOR,
        r"exec format error|exec user process caused",
        "image {image} is not built for this kind of processor ({said})",
        "remove it there ({runtime} rmi {image}) and pull it anew",
    ),
    (
        Code.OUT_OF_MEMORY,
        r"minimum memory limit|oom-killed|memory limit too low|\(oom",
        "the memory limit is too low to start the container ({said})",
        "raise benchmark_memory_limit_mib",
    ),
    (
        Code.PI_HAS_FEWER_CORES,
        r"range of cpus is from",
        "it has fewer cores than are to be used ({said})",
        "lower benchmark_processes_per_pi",
    ),
    (
        Code.IMAGE_UNAVAILABLE,
        r"no such image|image not known|no such object",
        "image {image} was removed meanwhile",
        "run again",
    ),
    (
        Code.RUNTIME_DOWN,
        r"error waiting for container|error during connect|unexpected eof",
        "the {runtime} daemon went away meanwhile ({said})",
        "ssh {pi} journalctl -u {runtime}",
    ),
    (
        Code.RUNTIME_CANNOT_LIMIT,
        r"requested cgroup controller",
        "systemd lets rootless podman limit no CPU time or no memory there ({said})",
        "{delegate}",
    ),
    (
        Code.RUNTIME_CANNOT_LIMIT,
        r"nanocpus|cpu cfs|cpu\.max|cpu quota",
        "{runtime} can't limit the CPU there: the kernel has no CPU quota, or its cgroup is not there "
        "({said})",
        "boot a kernel with CONFIG_CFS_BANDWIDTH, as Raspberry Pi OS has it; or set benchmark_base_runtime: "
        "process",
    ),
    (
        Code.RUNTIME_CANNOT_LIMIT,
        r"cgroup.*controller|controller.*not (available|delegated)",
        "{runtime} can't limit CPU or memory there ({said})",
        "add cgroup_memory=1 cgroup_enable=memory to the kernel's command line",
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One base case: an attempt at a slot of the plan."""

    pi: str
    plan: Plan
    slot: Slot
    attempt: int
    # The uid of the ConfigMap that owns all of ours in the cluster.
    owner: str

    @property
    def cell(self) -> Cell:
        """Its cell."""
        return self.plan.cell(self.slot.cell)

    @property
    def told(self) -> Assignment:
        """What its worker is told."""
        return Assignment(self.plan, self.slot, self.attempt, self.plan.settings.timeout_seconds, pi=self.pi)

    @property
    def name(self) -> str:
        """The name of its container, which two namespaces do not share; none of them holds a dot."""
        return f"pi-speedup-{self.plan.settings.namespace}.{self.plan.run_id}-{self.slot.name}.{self.attempt}"


def command(case: Case) -> tuple[str, ...]:
    """Return the words that run the worker, whose program comes on standard input.

    TERM first where it takes too long: docker passes it on and the worker ends at once; KILL for what does
    not listen. The worker's own deadline ends it where nobody else can: the connection broke, or whoever
    started it was killed. That clock starts after timeout's, so an ordinary timeout is timeout's.
    """
    settings = case.plan.settings
    workload = workload_of(settings)
    program = (
        (*settings.base_command_prefix, workload.interpreter(settings))
        if settings.base_runtime == "process"
        else _container(case)
    )
    words = workload.base_words(case.told)
    return ("timeout", "-k", "10", str(settings.timeout_seconds), *program, *words)


def _container(case: Case) -> tuple[str, ...]:
    """Return the command of a container with the pods' limits and rights, in words of docker and podman both.

    No swap either, no health check, and the interpreter in place of what the image would start. A pod has no
    limit of processes. The output is read as it comes, so the runtime need not write it to the SD card too.
    """
    settings = case.plan.settings
    memory = settings.container_memory_mib(case.cell.processes_per_pi)
    network = () if settings.network else ("--network=none",)
    # Without being told, docker lets nothing in it be executed.
    scratch = f"--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size={settings.scratch_mib}m"
    return (
        settings.base_runtime,
        "run",
        "--rm",
        "--interactive",
        "--pull=never",
        *network,
        *((scratch,) if settings.command else ()),
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--user=65534:65534",
        f"--cpus={case.cell.cpu_limit_cores(settings):g}",
        f"--memory={memory}m",
        f"--memory-swap={memory}m",
        "--log-driver=none",
        "--no-healthcheck",
        f"--entrypoint={workload_of(settings).interpreter(settings)}",
        f"--label={LABEL}",
        f"--label=pi-speedup/run-id={case.plan.run_id}",
        f"--label={NAMESPACE_LABEL}={settings.namespace}",
        f"--label={OWNER_LABEL}={case.owner}",
        f"--name={case.name}",
        settings.image,
    )


def inspection(runtime: str, image: str) -> tuple[str, ...]:
    """Return the words that have an image described; no format, since podman 4 prints a list with one too."""
    return (runtime, "image", "inspect", image)


def described(inspected: Outcome) -> dict[str, Any]:
    """Return the one image that an `inspection` describes; ValueError or LookupError if it describes none."""
    # Podman may say first that it stands in for docker.
    begin = re.search(r"^\[", inspected.said, re.MULTILINE)
    images, _ = json.JSONDecoder().raw_decode(inspected.said, begin.start() if begin else 0)
    if not isinstance(images, list) or not isinstance(images[0], dict):
        raise ValueError("not a list of images")
    return images[0]


def image_ids(inspected: Outcome, image: str) -> tuple[str, ...] | None:
    """Return all ids of an image, those of manifests (NAME@sha256:...) first; None if it cannot be told.

    inspected: the outcome of an `inspection`.
    Docker's Id is the configuration's digest, but with its containerd image store the manifest's: then it is
    among the repositories' digests, or the image's own descriptor. Podman leaves out sha256: before it.
    """
    try:
        found = described(inspected)
        own = one_line(f"sha256:{found['Id'].removeprefix('sha256:')}", 300)
        manifests = tuple(
            one_line(digest, 300) for digest in (found.get("RepoDigests") or ())[:_MOST_DIGESTS]
        )
        descriptor = found.get("Descriptor") or {}
        if any(manifest.endswith(f"@{own}") for manifest in manifests):
            return manifests
        return (*manifests, f"{image}@{own}" if descriptor.get("digest") == own else own)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def is_absent(inspected: Outcome) -> bool:
    """Say whether an inspection found that there is no such image."""
    words = r"no such image|image not known|no such object"
    return inspected.rc != 0 and re.search(words, inspected.said, re.IGNORECASE) is not None


def inspect_problem(inspected: Outcome, *, pi: str, runtime: str, image: str) -> Problem:
    """Return why nothing is known of an image that may be there."""
    names = {"pi": pi, "runtime": runtime, "image": image}
    next_step = f"ssh {pi} {runtime} image inspect {image}"
    if inspected.rc == 0:
        text = one_line(inspected.said, 120)
        return Problem(
            code=Code.RUNTIME_FAILS,
            subject=pi,
            what=f"{runtime} describes image {image} as {text!r}",
            next_step=next_step,
        )
    return (
        _common_problem(inspected, _RUNTIME_WORDS, names)
        or _silence(inspected, pi, runtime)
        or Problem(
            code=Code.RUNTIME_FAILS,
            subject=pi,
            what=f"{runtime} can't look at image {image} ({_last_line(inspected)})",
            next_step=next_step,
        )
    )


def pull_problem(pulled: Outcome, *, pi: str, runtime: str, image: str) -> Problem:
    """Return why an image could not be pulled."""
    names = {"pi": pi, "runtime": runtime, "image": image}
    next_step = f"ssh {pi} {runtime} pull {image}"
    if pulled.rc == TIMED_OUT:
        what = f"{runtime} did not pull image {image} within {PULL_SECONDS} s"
        return Problem(
            code=Code.IMAGE_UNAVAILABLE, subject=pi, what=what, next_step=f"{next_step}, then run again"
        )
    return _common_problem(pulled, _RUNTIME_WORDS + _PULL_WORDS, names) or Problem(
        code=Code.IMAGE_UNAVAILABLE,
        subject=pi,
        what=f"{runtime} could not pull image {image} ({_last_line(pulled)})",
        next_step=next_step,
    )


def runtime_problem(asked: Outcome, *, pi: str, runtime: str) -> Problem | None:
    """Return why a runtime cannot be used on a Pi, None where it can.

    asked: the outcome of a command that starts nothing; of podman's `info --format json`.
    """
    if asked.rc == 0:
        return _no_limits(asked.said, pi) if runtime == "podman" else None
    names = {"pi": pi, "runtime": runtime, "image": "of the run"}
    return (
        _common_problem(asked, _RUNTIME_WORDS, names)
        or _silence(asked, pi, runtime)
        or Problem(
            code=Code.RUNTIME_FAILS,
            subject=pi,
            what=f"{runtime} can't be used ({_last_line(asked)})",
            next_step=f"ssh {pi} {runtime} info",
        )
    )


def podman_info(said: str) -> dict[str, dict[str, Any]]:
    """Return what `podman info --format json` tells; empty for what is not its answer."""
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return {}
    sections = found.items() if isinstance(found, dict) else ()
    return {name: section for name, section in sections if isinstance(section, dict)}


def _no_limits(said: str, pi: str) -> Problem | None:
    """Return why this user's containers would run without limits, as podman 4.3 told it on five systems.

    It ends with 0 all the same, so an unlimited base case would be measured against limited pods.
    """
    host = podman_info(said).get("host", {})
    security = host.get("security")
    if not isinstance(security, dict) or security.get("rootless") is not True:
        return None
    controllers = host.get("cgroupControllers")
    if host.get("cgroupVersion") == "v1":
        what = "rootless podman ignores limits under cgroup v1"
        step = "set benchmark_base_runtime: docker, or start the Pi with cgroup v2"
    elif host.get("cgroupManager") == "cgroupfs":
        what = "rootless podman ignores limits there: its user has no systemd session"
        step = f"ssh {pi} 'sudo apt install dbus-user-session && sudo loginctl enable-linger $USER'"
    elif isinstance(controllers, list) and not {"cpu", "memory"} <= set(map(str, controllers)):
        what, step = "systemd lets rootless podman limit no CPU time or no memory there", _delegate(pi)
    else:
        return None
    return Problem(code=Code.RUNTIME_CANNOT_LIMIT, subject=pi, what=what, next_step=step)


def _delegate(pi: str) -> str:
    folder = "/etc/systemd/system/user@.service.d"
    return (
        f'ssh {pi} \'sudo mkdir -p {folder} && printf "[Service]\\nDelegate=cpu memory pids\\n" | sudo tee '
        f"{folder}/delegate.conf && sudo systemctl daemon-reload && sudo systemctl restart user@$(id -u)'"
    )


def removal_problem(
    listed: Outcome, removed: Outcome | None, ids: Sequence[str], *, pi: str, runtime: str
) -> Problem | None:
    """Return why containers of an earlier run may be left; None where there is nothing to complain of.

    A Pi without the runtime, with its daemon down, or whose user may not use it, has none that could be
    removed: whoever wants to run one there is told so.
    """
    if listed.rc == TIMED_OUT or (removed is not None and removed.rc == TIMED_OUT):
        return _silence(Outcome(TIMED_OUT, ""), pi, runtime)
    # With --rm the runtime removes them too, and may come first.
    gone = r"already in progress|no such container|no container with"
    if removed is None or removed.rc == 0 or re.search(gone, removed.said, re.IGNORECASE):
        return None
    return Problem(
        code=Code.BASE_CONTAINER_LEFT,
        subject=pi,
        what=f"a container of an earlier run could not be removed ({_last_line(removed)})",
        next_step=f"ssh {pi} {runtime} rm --force {one_line(' '.join(ids), 80)}",
    )


def python_problem(asked: Outcome, *, pi: str, settings: Settings) -> Problem:
    """Return why the interpreter of a process cannot be used."""
    if settings.command:
        return Problem(
            code=Code.RUNTIME_MISSING,
            subject=pi,
            what=f"no shell can be started there ({_last_line(asked)})",
            next_step="correct benchmark_base_command_prefix",
        )
    return _missing_command(asked, pi, "process") or Problem(
        code=Code.BASE_PYTHON_NOT_VALID,
        subject=pi,
        what=f"{one_line(settings.base_python, 60)} is not Python 3.9 or later ({_last_line(asked)})",
        next_step="set benchmark_base_python to one, or correct benchmark_base_command_prefix",
    )


def run_problem(outcome: Outcome, *, pi: str, settings: Settings, seconds: float, log: str) -> Problem:
    """Return why a base case failed that ended with an exit code other than 0 after so many seconds.

    log: where in the run's folder all that it wrote will be.
    """
    workload = workload_of(settings)
    names = {
        "pi": pi,
        "runtime": settings.base_runtime,
        "image": settings.image,
        "interpreter": workload.interpreter(settings),
        "with_interpreter": workload.without_interpreter(settings),
    }
    in_container = settings.base_runtime != "process"
    whole = f"(whole log: {log})"
    # First: its output may hold any words, a runtime's too.
    if told := workload.failure(settings, _last_line(outcome, LINE_LIMIT), pi):
        return told.model_copy(update={"next_step": f"{told.next_step} {whole}"})
    known = _common_problem(outcome, _RUNTIME_WORDS + _RUN_WORDS if in_container else (), names)
    if known is not None:
        return known
    limit = settings.timeout_seconds
    if outcome.rc == TIMED_OUT or (outcome.rc == _KILLED and seconds >= limit):
        code = Code.TIMEOUT
        what = f"the base case took longer than {limit} s and was stopped"
        next_step = f"lower {workload.amount_setting} or raise benchmark_timeout_seconds"
        if settings.command and settings.runs_per_process == 1:
            next_step = "raise benchmark_timeout_seconds, or give the command less to do"
    elif outcome.rc == _KILLED:
        code = Code.OUT_OF_MEMORY
        what = "the base case was killed, most likely for want of memory"
        next_step = "raise benchmark_memory_limit_mib, or see what else uses memory there"
    elif outcome.rc == _TOLD_TO_STOP:
        code = Code.BASE_STOPPED
        what = "the base case was stopped from outside before it was done"
        next_step = "see that no one stops it, run again"
    else:
        code = Code.BASE_FAILED
        what = f"the base case ended with exit code {outcome.rc} ({_last_line(outcome)})"
        next_step = f"read its log {whole}"
    return Problem(code=code, subject=pi, what=what, next_step=next_step)


def _common_problem(outcome: Outcome, words: _Words, names: Mapping[str, str]) -> Problem | None:
    """Return the problem of a command that is missing, or the first row of `words` that a line matches."""
    missing = _missing_command(outcome, names["pi"], names["runtime"])
    if missing is not None:
        return missing
    lines = outcome.said[-4096:].splitlines()
    for code, pattern, what, next_step in words:
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                known = {
                    **names,
                    "said": innermost(line, _SAID_LIMIT).rstrip("."),
                    "registry": registry_of(names["image"]),
                    "certs": "docker" if names["runtime"] == "docker" else "containers",
                    "delegate": _delegate(names["pi"]),
                }
                return Problem(
                    code=code,
                    subject=names["pi"],
                    what=what.format(**known),
                    next_step=next_step.format(**known),
                )
    return None


def registry_of(image: str) -> str:
    """Return where an image comes from: the first part of its name, if that can be a machine's."""
    first, slash, _ = image.partition("/")
    return first if slash and (first == "localhost" or set(first) & set(".:")) else "docker.io"


def _missing_command(outcome: Outcome, pi: str, runtime: str) -> Problem | None:
    # 127 by timeout, or by what a process is started with; 2 is ENOENT, as pi_host_facts tells it. A
    # container whose image lacks the program ends with 127 too, but in other words.
    said = outcome.said
    missing = outcome.rc == 127 and (runtime == "process" or re.search(r"^timeout: ", said, re.MULTILINE))
    if not missing and not (outcome.rc == 2 and said.startswith("[Errno 2]")):
        return None
    command, setting = (
        ("the Python of the base case", "benchmark_base_python")
        if runtime == "process"
        else (runtime, "benchmark_base_runtime")
    )
    return Problem(
        code=Code.RUNTIME_MISSING,
        subject=pi,
        what=f"{command} is not there ({one_line(said, _SAID_LIMIT)})",
        next_step=f"install it there, or set {setting} to what is"
        + (
            ""
            if runtime == "process"
            else f"; a snap's: ssh {pi} sudo ln -s /snap/bin/{runtime} /usr/local/bin"
        ),
    )


def _silence(outcome: Outcome, pi: str, runtime: str) -> Problem | None:
    if outcome.rc != TIMED_OUT:
        return None
    return Problem(
        code=Code.RUNTIME_SILENT,
        subject=pi,
        what=f"{runtime} does not answer",
        next_step=f"ssh {pi} {runtime} info, and restart the Pi if that hangs too",
    )


def _last_line(outcome: Outcome, limit: int = _SAID_LIMIT) -> str:
    # docker's last line is where to read more.
    # Not splitlines: to it, characters of a program's own end a line too.
    found = re.split(r"[\r\n]", outcome.said)
    lines = [line for line in found if line.strip() and not line.startswith(_MORE_HELP)]
    return one_line(lines[-1] if lines else "no word", limit).rstrip(" .:")
