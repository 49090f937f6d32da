"""The files of one run's folder, read, checked against each other and frozen.

A folder that passes is one run: one engine, one size, each pod's result there and on a Pi of its own, and a
baseline for each wanted scaling. Everything else is refused with one line that names the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pi_speedup.fields import Fields, load_object
from pi_speedup.plain import one_line
from pi_speedup.worker_output import (
    ENGINE_PATTERN,
    RUN_ID_PATTERN,
    WorkerResult,
    parse_worker_output,
    worker_from_fields,
)

SCALINGS = ("strong", "weak")
RUNTIMES = ("kubernetes", "docker", "podman", "process")
# A node list of 1,000 Pis has some 400 KB; anything far beyond is not ours.
MAX_FILE_BYTES = 4 * 1024 * 1024
# What Kubernetes and inventories call a host, pod or container; safe to show anywhere.
_NAME = r"[-._:A-Za-z0-9]{1,253}"
# One for the configuration and one for each repository that an image was pulled from.
_MOST_IMAGE_IDS = 100
_RESULT_PATH = re.compile(r"results/(pod-(0|[1-9][0-9]{0,8})|baseline-(strong|weak))\.json")


@dataclass(frozen=True, slots=True)
class Run:
    """run.json: what was asked for."""

    run_id: str
    engine: str
    samples_per_pod: int
    pis: tuple[str, ...]
    baseline_pi: str
    scalings: tuple[str, ...]
    caveat: str | None
    started_at: str


@dataclass(frozen=True, slots=True)
class Node:
    """One Pi of nodes.json, as the cluster described it before the run; None for what it didn't say."""

    name: str
    architecture: str | None
    kubelet_version: str | None
    os_image: str | None
    kernel_version: str | None
    container_runtime: str | None
    cpu: str | None
    memory: str | None
    usable: bool
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """job.json: what became of the Job; `wall_seconds` from before its creation to its seen end."""

    name: str
    namespace: str
    uid: str
    outcome: str
    reason: str | None
    message: str | None
    wall_seconds: float | None
    pods_expected: int


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement with where it came from; field order is that of results/*.json."""

    schema_version: int
    kind: str
    scaling: str | None
    name: str
    host: str
    runtime: str
    image: str | None
    image_id: str | None
    # All by which the runtime knows the image: NAME@sha256:MANIFEST, sha256:CONFIGURATION.
    image_ids: tuple[str, ...]
    cpu_limit_cores: float | None
    wall_seconds: float | None
    worker: WorkerResult


@dataclass(frozen=True, slots=True)
class RunFolder:
    """All a report needs; pods by completion index, baselines in the order of the run's scalings."""

    run: Run
    nodes: tuple[Node, ...]
    not_in_inventory: tuple[str, ...]
    job: Job
    pods: tuple[Result, ...]
    baselines: tuple[Result, ...]


def baseline_result(
    log_text: str,
    *,
    scaling: str,
    name: str,
    host: str,
    runtime: str,
    image: str | None,
    image_id: str | None,
    image_ids: Sequence[str],
    cpu_limit_cores: float | None,
    wall_seconds: float | None,
    run_id: str,
    samples: int,
) -> Result:
    """Return the verified result of a baseline from its log; times in seconds, the limit in cores.

    ValueError (one line, naming the container and its host) if the log isn't whole or isn't of this run.
    """
    where = f"baseline {one_line(name, 80)} on {one_line(host, 80)}"
    try:
        worker = parse_worker_output(log_text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}. Next: read its log in the run's folder") from None
    for what, found, wanted in (
        ("run id", worker.run_id, run_id),
        ("stream", worker.stream, f"baseline-{scaling}"),
        ("number of samples", worker.samples, samples),
    ):
        if found != wanted:
            raise ValueError(
                f"{where}: its {what} is {found}, not {one_line(wanted, 60)}: another run's output"
            )
    envelope: dict[str, object] = {
        "schema_version": 1,
        "kind": "baseline",
        "scaling": scaling,
        "name": name,
        "host": host,
        "runtime": runtime,
        "image": image,
        "image_id": image_id,
        "image_ids": list(image_ids),
        "cpu_limit_cores": cpu_limit_cores,
        "wall_seconds": wall_seconds,
    }
    return _envelope(Fields(envelope, where), worker)


def read_run_folder(files: Mapping[str, str]) -> RunFolder:
    """Return the run in `files`: text by path relative to the run's folder; other files are left aside.

    ValueError (one line, naming the file) for a file that is missing or wrong, and for results that don't
    belong together.
    """
    run = _read_run(_load(files, "run.json"))
    nodes, not_in_inventory = _read_nodes(_load(files, "nodes.json"))
    job = _read_job(_load(files, "job.json"))
    if job.outcome != "complete":
        cause = ": ".join(one_line(part) for part in (job.reason, job.message) if part)
        raise ValueError(
            f"job.json: Job {job.name} failed ({cause or 'no reason given'}), so there is no speedup. "
            "Next: read logs/ and events.json in the run's folder"
        )
    paths = sorted(path for path in files if path.startswith("results/"))
    if not paths:
        raise ValueError("results/: there are no results. Next: run the benchmark before its report")
    for path in paths:
        if not _RESULT_PATH.fullmatch(path):
            raise ValueError(f"{one_line(path, 120)}: no result of ours. Next: move it out of the folder")
    results = {path: _read_result(_load(files, path)) for path in paths}
    for path, result in results.items():
        _check_belongs(path, result, run)
    return RunFolder(
        run=run,
        nodes=nodes,
        not_in_inventory=not_in_inventory,
        job=job,
        pods=_all_pods(results, run, job),
        baselines=_all_baselines(results, run),
    )


def _load(files: Mapping[str, str], path: str) -> Fields:
    if path not in files:
        raise ValueError(f"{path}: missing in the run's folder")
    fields = Fields(load_object(files[path], path, MAX_FILE_BYTES), path)
    fields.version()
    return fields


def _read_run(data: Fields) -> Run:
    run = Run(
        run_id=data.text("run_id", RUN_ID_PATTERN),
        engine=data.text("engine", ENGINE_PATTERN),
        samples_per_pod=data.integer("samples_per_pod", minimum=1),
        pis=data.texts("pis"),
        baseline_pi=data.text("baseline_pi", _NAME),
        scalings=data.texts("scalings"),
        caveat=data.text_or_none("caveat"),
        started_at=data.text("started_at"),
    )
    if not run.pis or len(set(run.pis)) != len(run.pis):
        data.fail("pis", "a list of different names")
    if not run.scalings or len(set(run.scalings)) != len(run.scalings) or set(run.scalings) - set(SCALINGS):
        data.fail("scalings", "one or both of " + ", ".join(SCALINGS))
    return run


def _read_nodes(data: Fields) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    nodes = tuple(
        Node(
            name=node.text("name", _NAME),
            architecture=node.text_or_none("architecture"),
            kubelet_version=node.text_or_none("kubelet_version"),
            os_image=node.text_or_none("os_image"),
            kernel_version=node.text_or_none("kernel_version"),
            container_runtime=node.text_or_none("container_runtime"),
            cpu=node.text_or_none("cpu"),
            memory=node.text_or_none("memory"),
            usable=node.boolean("usable"),
            problems=node.texts("problems"),
        )
        for node in data.children("nodes")
    )
    return nodes, data.texts("not_in_inventory")


def _read_job(data: Fields) -> Job:
    return Job(
        name=data.text("name", _NAME),
        namespace=data.text("namespace", _NAME),
        uid=data.text("uid"),
        outcome=data.one_of("outcome", "complete", "failed"),
        reason=data.text_or_none("reason", limit=4096),
        message=data.text_or_none("message", limit=65536),
        wall_seconds=data.seconds_or_none("wall_seconds"),
        pods_expected=data.integer("pods_expected", minimum=1),
    )


def _read_result(data: Fields) -> Result:
    return _envelope(data, worker_from_fields(data.child("worker")))


def _envelope(data: Fields, worker: WorkerResult) -> Result:
    kind = data.one_of("kind", "pod", "baseline")
    scaling = data.text_or_none("scaling")
    if scaling not in (SCALINGS if kind == "baseline" else (None,)):
        data.fail("scaling", "null for a pod, strong or weak for a baseline")
    limit = data.data.get("cpu_limit_cores")
    return Result(
        schema_version=1,
        kind=kind,
        scaling=scaling,
        name=data.text("name", _NAME),
        host=data.text("host", _NAME),
        runtime=data.one_of("runtime", *RUNTIMES),
        image=data.text_or_none("image"),
        image_id=data.text_or_none("image_id", limit=512),
        image_ids=_image_ids(data),
        cpu_limit_cores=None if limit is None else data.number("cpu_limit_cores", 0.001, 10000),
        wall_seconds=data.seconds_or_none("wall_seconds"),
        worker=worker,
    )


def _image_ids(data: Fields) -> tuple[str, ...]:
    # A pod's status tells one id only, and so did baselines before this field came.
    if data.data.get("image_ids") is None:
        image_id = data.text_or_none("image_id", limit=512)
        return () if image_id is None else (image_id,)
    image_ids = data.texts("image_ids")
    if len(image_ids) > _MOST_IMAGE_IDS or any(len(image_id) > 512 for image_id in image_ids):
        data.fail("image_ids", f"at most {_MOST_IMAGE_IDS} texts of at most 512 characters")
    return image_ids


def _check_belongs(path: str, result: Result, run: Run) -> None:
    worker = result.worker
    if worker.run_id != run.run_id:
        raise ValueError(
            f"{path}: of run {worker.run_id}, not {run.run_id}: results of different runs are mixed"
        )
    if worker.engine != run.engine:
        raise ValueError(
            f"{path}: of engine {worker.engine}, not {run.engine}: results of different engines are mixed"
        )
    wanted = run.samples_per_pod * (len(run.pis) if result.scaling == "strong" else 1)
    if worker.samples != wanted:
        raise ValueError(
            f"{path}: {worker.samples} samples, not {wanted}: results of different sizes are mixed"
        )
    if result.kind == "pod":
        name, stream = f"results/pod-{worker.completion_index}.json", str(worker.completion_index)
    else:
        name, stream = f"results/baseline-{result.scaling}.json", f"baseline-{result.scaling}"
    if path != name:
        raise ValueError(f"{path}: its content belongs into {name}")
    if worker.stream != stream:
        raise ValueError(f"{path}: drawn from random stream {worker.stream}, not {stream}")


def _all_pods(results: Mapping[str, Result], run: Run, job: Job) -> tuple[Result, ...]:
    expected = len(run.pis)
    if job.pods_expected != expected:
        raise ValueError(f"job.json: {job.pods_expected} pods expected, but run.json names {expected} Pis")
    pods = {result.worker.completion_index: result for result in results.values() if result.kind == "pod"}
    missing = [index for index in range(expected) if index not in pods]
    if missing:
        raise ValueError(
            f"results/: no result of pod {_numbers(missing)} ({expected} pods expected). "
            "Next: read logs/ in the run's folder"
        )
    if len(pods) > expected:
        extra = sorted(index for index in pods if index is not None and index >= expected)
        raise ValueError(f"results/: pod {_numbers(extra)} is one too many, {expected} pods expected")
    ordered = tuple(pods[index] for index in range(expected))
    _check_one_pod_per_pi(ordered, run)
    return ordered


def _check_one_pod_per_pi(pods: tuple[Result, ...], run: Run) -> None:
    # Refused, not flagged: with two pods on one Pi the number of Pis, and so every figure, would be false.
    seen: dict[str, int] = {}
    for index, pod in enumerate(pods):
        path = f"results/pod-{index}.json"
        if pod.worker.node != pod.host:
            raise ValueError(
                f"{path}: the worker says it ran on {pod.worker.node}, the cluster says {pod.host}"
            )
        if pod.host not in run.pis:
            raise ValueError(f"{path}: ran on {pod.host}, which is none of the run's Pis")
        if pod.host in seen:
            raise ValueError(
                f"{path}: ran on {pod.host}, as pod {seen[pod.host]} did, so fewer than {len(run.pis)} Pis "
                "computed"
            )
        seen[pod.host] = index


def _all_baselines(results: Mapping[str, Result], run: Run) -> tuple[Result, ...]:
    baselines = {result.scaling: result for result in results.values() if result.kind == "baseline"}
    for scaling in run.scalings:
        if scaling not in baselines:
            raise ValueError(
                f"results/baseline-{scaling}.json: missing, so there is no base case for {scaling} scaling. "
                "Next: run the benchmark again"
            )
    return tuple(baselines[scaling] for scaling in run.scalings)


def _numbers(indexes: list[int]) -> str:
    shown = ", ".join(str(index) for index in indexes[:10])
    return shown if len(indexes) <= 10 else f"{shown} and {len(indexes) - 10} more"
