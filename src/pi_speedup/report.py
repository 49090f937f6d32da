"""The report of one run: every figure with its base case, and what speaks for and against believing it.

The report is a function of the run's files alone, so building it again gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pi_speedup import __version__
from pi_speedup.checks import Check, cpu_cores_used, pods_makespan_seconds, run_checks, same_streams
from pi_speedup.host_checks import host_run_checks
from pi_speedup.host_state import Host, read_hosts
from pi_speedup.results import Node, Result, Run, RunFolder, read_run_folder
from pi_speedup.scaling import (
    PiEstimate,
    Spread,
    estimate_pi,
    spread,
    strong_scaling,
    throughput,
    weak_scaling,
)


@dataclass(frozen=True, slots=True)
class Tool:
    """Who computed the report."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`status` is unflagged or flagged; `text` says in one sentence how to take the figures."""

    status: str
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: what ran where, how many samples, how long (seconds), samples per second."""

    name: str
    host: str | None
    runtime: str
    pis: int
    samples: int
    seconds: float
    samples_per_second: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One speedup; `scaling` is strong or weak, `basis` compute or end_to_end, `caveat` the run's label."""

    scaling: str
    basis: str
    definition: str
    base_case: Side
    parallel: Side
    speedup: float
    efficiency: float
    caveat: str | None


@dataclass(frozen=True, slots=True)
class JobSummary:
    """The pods taken together; times in seconds, None where not recorded."""

    name: str
    namespace: str
    outcome: str
    wall_seconds: float | None
    makespan_seconds: float
    pod_duration_seconds: Spread


@dataclass(frozen=True, slots=True)
class Measurement:
    """One pod or base case: its own account, and what follows from it alone."""

    kind: str
    scaling: str | None
    completion_index: int | None
    name: str
    host: str
    runtime: str
    image: str | None
    image_id: str | None
    python_version: str
    python_implementation: str
    machine: str
    cpu_limit_cores: float | None
    samples: int
    inside: int
    pi: PiEstimate
    start_epoch_ns: int
    end_epoch_ns: int
    start_offset_seconds: float | None
    duration_seconds: float
    cpu_seconds: float
    cpu_cores_used: float
    wall_seconds: float | None
    samples_per_second: float
    rng_seed: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A check that speaks against the figures."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """report.json; report.schema.json describes it field by field.

    `measurements` is how often each side was measured. With one, there is no confidence interval, so there
    is no field for it.
    """

    schema_version: int
    tool: Tool
    run: Run
    caveat: str | None
    measurements: int
    verdict: Verdict
    comparisons: tuple[Comparison, ...]
    job: JobSummary
    pods: tuple[Measurement, ...]
    baselines: tuple[Measurement, ...]
    pi: PiEstimate
    checks: tuple[Check, ...]
    flags: tuple[Flag, ...]
    nodes: tuple[Node, ...]
    not_in_inventory: tuple[str, ...]
    hosts: tuple[Host, ...]


def report_from_files(files: Mapping[str, str]) -> Report:
    """Return the report of the run in `files` (text by relative path); ValueError as read_run_folder."""
    folder = read_run_folder(files)
    return build_report(folder, read_hosts(files, folder.run.pis))


def build_report(folder: RunFolder, hosts: tuple[Host, ...] = ()) -> Report:
    """Return the report of a run whose files passed; times in seconds, throughput in samples per second.

    hosts: the run's Pis as they were before and after it; none where they were not looked at.
    """
    comparisons = tuple(
        comparison for baseline in folder.baselines for comparison in _comparisons(folder, baseline)
    )
    pi = estimate_pi(
        sum(pod.worker.inside for pod in folder.pods),
        sum(pod.worker.samples for pod in folder.pods),
        independent=not same_streams(folder.pods),
    )
    best = max(comparison.efficiency for comparison in comparisons if comparison.basis == "compute")
    checks = (*run_checks(folder, pi, best), *host_run_checks(hosts))
    flags = tuple(Flag(check.code, check.text) for check in checks if check.status == "flag")
    first_start = min(pod.worker.start_epoch_ns for pod in folder.pods)
    return Report(
        schema_version=1,
        tool=Tool("pi-speedup", __version__),
        run=folder.run,
        caveat=folder.run.caveat,
        measurements=1,
        verdict=_verdict(flags),
        comparisons=comparisons,
        job=JobSummary(
            name=folder.job.name,
            namespace=folder.job.namespace,
            outcome=folder.job.outcome,
            wall_seconds=folder.job.wall_seconds,
            makespan_seconds=pods_makespan_seconds(folder.pods),
            pod_duration_seconds=spread([pod.worker.duration_seconds for pod in folder.pods]),
        ),
        pods=tuple(_measurement(pod, (pod.worker.start_epoch_ns - first_start) / 1e9) for pod in folder.pods),
        baselines=tuple(_measurement(baseline, None) for baseline in folder.baselines),
        pi=pi,
        checks=checks,
        flags=flags,
        nodes=folder.nodes,
        not_in_inventory=folder.not_in_inventory,
        hosts=hosts,
    )


def _comparisons(folder: RunFolder, baseline: Result) -> tuple[Comparison, ...]:
    """Return the compute comparison, and the end-to-end one if both wall times are known."""
    makespan = pods_makespan_seconds(folder.pods)
    compute = _comparison(folder, baseline, "compute", baseline.worker.duration_seconds, makespan)
    if baseline.wall_seconds is None or folder.job.wall_seconds is None:
        return (compute,)
    end_to_end = _comparison(folder, baseline, "end_to_end", baseline.wall_seconds, folder.job.wall_seconds)
    return compute, end_to_end


def _comparison(
    folder: RunFolder, baseline: Result, basis: str, one_pi_seconds: float, all_pis_seconds: float
) -> Comparison:
    pis = len(folder.pods)
    samples = sum(pod.worker.samples for pod in folder.pods)
    what = {
        "compute": ("the worker's own time on one Pi", "the pods' makespan (last finish - first start)"),
        "end_to_end": ("the wall time of the whole command on one Pi", "the Job's wall time, create to end"),
    }[basis]
    if baseline.scaling == "strong":
        scaling = strong_scaling(one_pi_seconds, all_pis_seconds, pis)
        definition = f"speedup = {what[0]} for all samples / {what[1]}; efficiency = speedup / Pis"
    else:
        scaling = weak_scaling(one_pi_seconds, all_pis_seconds, pis)
        definition = (
            f"efficiency = {what[0]} for one pod's samples / {what[1]}; scaled speedup = Pis * efficiency"
        )
    return Comparison(
        scaling=str(baseline.scaling),
        basis=basis,
        definition=definition,
        base_case=Side(
            name=baseline.name,
            host=baseline.host,
            runtime=baseline.runtime,
            pis=1,
            samples=baseline.worker.samples,
            seconds=one_pi_seconds,
            samples_per_second=throughput(baseline.worker.samples, one_pi_seconds),
        ),
        parallel=Side(
            name=folder.job.name,
            host=None,
            runtime="kubernetes",
            pis=pis,
            samples=samples,
            seconds=all_pis_seconds,
            samples_per_second=throughput(samples, all_pis_seconds),
        ),
        speedup=scaling.speedup,
        efficiency=scaling.efficiency,
        caveat=folder.run.caveat,
    )


def _measurement(result: Result, start_offset_seconds: float | None) -> Measurement:
    worker = result.worker
    return Measurement(
        kind=result.kind,
        scaling=result.scaling,
        completion_index=worker.completion_index,
        name=result.name,
        host=result.host,
        runtime=result.runtime,
        image=result.image,
        image_id=result.image_id,
        python_version=worker.python_version,
        python_implementation=worker.python_implementation,
        machine=worker.machine,
        cpu_limit_cores=result.cpu_limit_cores,
        samples=worker.samples,
        inside=worker.inside,
        pi=estimate_pi(worker.inside, worker.samples),
        start_epoch_ns=worker.start_epoch_ns,
        end_epoch_ns=worker.end_epoch_ns,
        start_offset_seconds=start_offset_seconds,
        duration_seconds=worker.duration_seconds,
        cpu_seconds=worker.cpu_seconds,
        cpu_cores_used=cpu_cores_used(result),
        wall_seconds=result.wall_seconds,
        samples_per_second=throughput(worker.samples, worker.duration_seconds),
        rng_seed=worker.rng_seed,
    )


def _verdict(flags: tuple[Flag, ...]) -> Verdict:
    single = "Each side was measured once, so there is no confidence interval."
    if not flags:
        return Verdict("unflagged", f"No check speaks against these figures. {single}")
    what = "One check speaks" if len(flags) == 1 else f"{len(flags)} checks speak"
    return Verdict("flagged", f"{what} against these figures: {', '.join(f.code for f in flags)}. {single}")
