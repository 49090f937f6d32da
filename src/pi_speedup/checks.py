"""Can the number be believed? Each check looks for one way in which a run misleads."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pi_speedup.plain import one_line
from pi_speedup.results import Result, RunFolder
from pi_speedup.scaling import PiEstimate, makespan_seconds

# CPU time over wall time of an undisturbed run, under a CPU limit or not, measured 0.91 to 1.1 of its budget.
_LEAST_CPU_SHARE = 0.9
_MOST_CPU_SHARE = 1.2
# One in 16,000 honest runs is further off than four standard errors (normal distribution, two-sided).
_MOST_STANDARD_ERRORS = 4.0
# Measured: a kubelet that could not mount the worker's ConfigMap at once started its pod 1.5 s later.
_MOST_LATE_SHARE = 0.1
# Measured: runs of 1 s show a fifth less speedup than runs of 10 s, as starting weighs in; 3 s come close.
_LEAST_SECONDS = 3.0
# Equal Pis under equal limits came within a fifth of each other.
_MOST_IMBALANCE = 1.25
# More than p Pis can give: noise up to a twentieth, and beyond it a base case that was slowed down.
_MOST_EFFICIENCY = 1.05
# The same work on the same Pi within a minute: undisturbed runs came within a tenth of each other.
_MOST_SPEED_CHANGE = 1.15
# Two clocks read one after the other, and one of them slewed by NTP.
_CLOCK_TOLERANCE_SECONDS = 0.01
_CLOCK_TOLERANCE_SHARE = 0.01
# An image's id; a Pi's runtime that isn't containerd may leave out sha256: before a configuration's digest.
_IMAGE_ID = re.compile(r"(?:[-a-z]+://)?(?:(?P<name>.+)@sha256:|(?:sha256:)?)(?P<hex>[0-9a-f]{64})")
# Names shown in one text; a hundred Pis would fill the page.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `code` is stable, `status` pass, flag or unknown (not checkable), `text` the finding."""

    code: str
    title: str
    status: str
    text: str


def run_checks(folder: RunFolder, pi: PiEstimate, best_efficiency: float) -> tuple[Check, ...]:
    """Return all checks of a run in a fixed order; `best_efficiency` is the highest compute efficiency."""
    return (
        Check(
            "one_pod_per_pi",
            "Each pod ran on a Pi of its own",
            "pass",
            f"{len(folder.pods)} pods on {len({pod.host for pod in folder.pods})} Pis",
        ),
        _starved(folder),
        _over_budget(folder),
        _clocks_disagree(folder),
        _imbalance(folder.pods),
        _late_start(folder.pods),
        _short_run(folder),
        _superlinear(best_efficiency),
        _speed_changed(folder),
        _baseline_host(folder),
        _baseline_runtime(folder.baselines),
        _image_differs(folder),
        _python_differs(folder),
        _machine_differs(folder),
        _cpu_limit_differs(folder),
        _duplicate_streams(folder.pods),
        _pi_implausible(pi),
        _wall_time_missing(folder),
    )


def same_streams(pods: Sequence[Result]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return (seed, indexes of the pods) for each random stream that more than one pod drew from."""
    indexes: dict[str, list[int]] = defaultdict(list)
    for index, pod in enumerate(pods):
        # As a number: 0a and a are the same seed.
        indexes[f"{int(pod.worker.rng_seed, 16):016x}"].append(index)
    return tuple((seed, tuple(found)) for seed, found in indexes.items() if len(found) > 1)


def cpu_budget_cores(result: Result) -> float:
    """Return the cores one worker can use at most: it has one thread, and perhaps a lower limit."""
    return 1.0 if result.cpu_limit_cores is None else min(1.0, result.cpu_limit_cores)


def cpu_cores_used(result: Result) -> float:
    """Return CPU time over wall time of one worker, in cores."""
    return result.worker.cpu_seconds / result.worker.duration_seconds


def _starved(folder: RunFolder) -> Check:
    found = [
        f"{_who(result)} got {cpu_cores_used(result):.2f} of its {cpu_budget_cores(result):.2f} cores "
        f"({result.worker.cpu_seconds:.2f} s CPU in {result.worker.duration_seconds:.2f} s)"
        for result in _all_results(folder)
        if cpu_cores_used(result) < _LEAST_CPU_SHARE * cpu_budget_cores(result)
    ]
    return _check(
        "starved",
        "Every run got the CPU it was promised",
        found,
        good=f"all had at least {_LEAST_CPU_SHARE:.0%} of their CPU budget",
        meaning="something else used the Pi or it was throttled; a starved pod makes the speedup too low, "
        "a starved base case too high",
    )


def _over_budget(folder: RunFolder) -> Check:
    found = [
        f"{_who(result)} used {cpu_cores_used(result):.2f} cores, its limit is {cpu_budget_cores(result):.2f}"
        for result in _all_results(folder)
        # A short run may live on the burst that a limit allows.
        if cpu_cores_used(result) > _MOST_CPU_SHARE * cpu_budget_cores(result)
        and result.worker.duration_seconds >= _LEAST_SECONDS
    ]
    return _check(
        "over_budget",
        "No run used more CPU than its limit",
        found,
        good="all stayed within their limits",
        meaning="the limit was not enforced there, so the two sides are not comparable",
    )


def _clocks_disagree(folder: RunFolder) -> Check:
    found = []
    for result in _all_results(folder):
        worker = result.worker
        by_epoch = makespan_seconds([worker.start_epoch_ns], [worker.end_epoch_ns])
        if not math.isclose(
            by_epoch,
            worker.duration_seconds,
            rel_tol=_CLOCK_TOLERANCE_SHARE,
            abs_tol=_CLOCK_TOLERANCE_SECONDS,
        ):
            found.append(
                f"the clock of {result.host} was set during {_who(result)} "
                f"({by_epoch:.2f} s by its time of day, {worker.duration_seconds:.2f} s by its stopwatch)"
            )
    makespan = pods_makespan_seconds(folder.pods)
    longest = max(pod.worker.duration_seconds for pod in folder.pods)
    if makespan < longest * (1 - _CLOCK_TOLERANCE_SHARE) - _CLOCK_TOLERANCE_SECONDS:
        found.append(f"the makespan ({makespan:.2f} s) is shorter than the longest pod ({longest:.2f} s)")
    wall = folder.job.wall_seconds
    if wall is not None and makespan > wall * (1 + _CLOCK_TOLERANCE_SHARE) + _CLOCK_TOLERANCE_SECONDS:
        found.append(f"the makespan ({makespan:.2f} s) is longer than the whole Job ({wall:.2f} s)")
    return _check(
        "clocks_disagree",
        "The Pis' clocks agree",
        found,
        good="makespan, pod durations and the Job's wall time fit together",
        meaning="the compute figures rest on these clocks; see that NTP runs on every Pi (timedatectl)",
    )


def _imbalance(pods: Sequence[Result]) -> Check:
    slowest = max(pods, key=lambda pod: pod.worker.duration_seconds)
    fastest = min(pods, key=lambda pod: pod.worker.duration_seconds)
    ratio = slowest.worker.duration_seconds / fastest.worker.duration_seconds
    figures = (
        f"slowest {slowest.host} ({slowest.worker.duration_seconds:.2f} s), "
        f"fastest {fastest.host} ({fastest.worker.duration_seconds:.2f} s): {ratio:.2f} to 1"
    )
    return _check(
        "imbalance",
        "The Pis are about equally fast",
        [figures] if ratio > _MOST_IMBALANCE else [],
        good=figures,
        meaning="the others waited for the slowest, and a base case on another Pi would give another speedup",
    )


def _late_start(pods: Sequence[Result]) -> Check:
    starts = {_who(pod): pod.worker.start_epoch_ns for pod in pods}
    last = max(starts, key=starts.__getitem__)
    late_seconds = (starts[last] - min(starts.values())) / 1e9
    share = late_seconds / pods_makespan_seconds(pods)
    figures = f"{last} started {late_seconds:.2f} s after the first, {share:.0%} of the makespan"
    return _check(
        "late_start",
        "The pods started together",
        [figures] if share > _MOST_LATE_SHARE else [],
        good=figures,
        meaning="the speedup counts that time and is too low for longer work; take more samples per pod",
    )


def _short_run(folder: RunFolder) -> Check:
    shortest = min(_all_results(folder), key=lambda result: result.worker.duration_seconds)
    figures = f"shortest: {_who(shortest)} with {shortest.worker.duration_seconds:.3g} s"
    return _check(
        "short_run",
        "The runs were long enough to say something",
        [figures] if shortest.worker.duration_seconds < _LEAST_SECONDS else [],
        good=figures,
        meaning=f"below {_LEAST_SECONDS:g} s starting up weighs in; take more samples per pod",
    )


def _superlinear(best_efficiency: float) -> Check:
    figures = f"compute efficiency {best_efficiency:.1%}"
    return _check(
        "superlinear",
        "The speedup is not more than the Pis can give",
        [figures] if best_efficiency > _MOST_EFFICIENCY else [],
        good=figures,
        meaning="the base case was slower than it should be, so the speedup is too high",
    )


def _speed_changed(folder: RunFolder) -> Check:
    # CPU time does not show it: a hot Pi, or a virtual machine on a busy host, does less in a second of it.
    host = folder.run.baseline_pi
    rates = {
        _who(result): result.worker.samples / result.worker.duration_seconds
        for result in (*folder.pods, *folder.baselines)
        if result.host == host
    }
    title = "The Pi that ran alone was as fast alone as with the others"
    if len(rates) < 2:
        return Check("speed_changed", title, "unknown", f"{len(rates)} run on {host}: nothing to compare")
    slowest, fastest = min(rates, key=rates.__getitem__), max(rates, key=rates.__getitem__)
    ratio = rates[fastest] / rates[slowest]
    figures = (
        f"fastest {fastest} ({rates[fastest]:,.0f} samples/s), slowest {slowest} "
        f"({rates[slowest]:,.0f} samples/s): {ratio:.2f} to 1"
    )
    return _check(
        "speed_changed",
        title,
        [figures] if ratio > _MOST_SPEED_CHANGE else [],
        good=figures,
        meaning="heat or other work changed its speed during the run, and the speedup with it",
    )


def _baseline_host(folder: RunFolder) -> Check:
    wanted = folder.run.baseline_pi
    found = [
        f"{_who(baseline)}, but {wanted} was asked for"
        for baseline in folder.baselines
        if baseline.host != wanted
    ]
    if wanted not in folder.run.pis:
        found.append(f"{wanted} is not one of the Pis that ran the pods")
    return _check(
        "baseline_host",
        "The base case ran on one of the same Pis",
        found,
        good=f"on {wanted}",
        meaning="the speedup compares different machines",
    )


def _baseline_runtime(baselines: Sequence[Result]) -> Check:
    return _check(
        "baseline_runtime",
        "The base case ran in a container, as the pods did",
        [
            f"{_who(baseline)} ran as a plain process"
            for baseline in baselines
            if baseline.runtime == "process"
        ],
        good=_listed(sorted({baseline.runtime for baseline in baselines})),
        meaning="without a container's overhead and without its image",
    )


def _image_differs(folder: RunFolder) -> Check:
    code, title = "image_differs", "Pods and base case used the same image"
    containers = [result for result in _all_results(folder) if result.runtime != "process"]
    if not any(result.kind == "baseline" for result in containers):
        return Check(code, title, "unknown", "the base case used no image: it ran as a plain process")
    meaning = "another image may hold another Python"
    names = {_image_name(result.image) for result in containers}
    if len(names) > 1:
        return _check(code, title, _who_had_what(containers, lambda r: _image_name(r.image)), "", meaning)
    groups = _same_images(containers)
    if len(groups) == 1 and groups[0].digests:
        digests = sorted(groups[0].digests)
        return Check(
            code, title, "pass", f"{_listed(names)}, {_listed(_digest_words(*found) for found in digests)}"
        )
    # Of different kinds they say nothing about each other: a configuration is not its manifest.
    told = Counter(kind for group in groups for kind in {kind for kind, _ in group.digests})
    comparable = {kind for kind, tellers in told.items() if tellers > 1}
    if comparable:
        found = [
            f"{_listed(map(_who, group.results))} had "
            + _listed(_digest_words(*digest) for digest in sorted(group.digests) if digest[0] in comparable)
            for group in groups
            if any(kind in comparable for kind, _ in group.digests)
        ]
        return _check(code, title, found, "", meaning)
    told_by = [
        f"{_listed(map(_who, group.results))} told "
        + (_listed(sorted({f"the {kind}'s digest" for kind, _ in group.digests}), " and ") or "no digest")
        for group in groups
    ]
    return Check(
        code,
        title,
        "unknown",
        f"same name {_listed(names)}, but no digest to compare: {_listed(told_by, '; ')}",
    )


@dataclass(frozen=True, slots=True)
class _SameImage:
    """Results that had the same image, and all (kind, digest) by which they knew it."""

    digests: frozenset[tuple[str, str]]
    results: tuple[Result, ...]


def _same_images(results: Sequence[Result]) -> list[_SameImage]:
    """Group results that share a digest, or do so by way of others; those that told none share that."""
    groups: list[_SameImage] = []
    for result in results:
        digests = frozenset(digest for image_id in result.image_ids if (digest := _digest(image_id)))
        same = [group for group in groups if group.digests & digests or (not group.digests and not digests)]
        groups = [group for group in groups if group not in same]
        groups.append(
            _SameImage(
                digests.union(*(group.digests for group in same)),
                (*(member for group in same for member in group.results), result),
            )
        )
    return groups


def _digest(image_id: str) -> tuple[str, str] | None:
    """Return what an image's id is the digest of, and the digest; None for an id of another form.

    A runtime that pulled an image names it NAME@sha256:MANIFEST, one that built or imported it
    sha256:CONFIGURATION. In front there may be a scheme, such as docker-pullable://.
    """
    found = _IMAGE_ID.fullmatch(image_id)
    if not found:
        return None
    return "manifest" if found["name"] else "configuration", f"sha256:{found['hex']}"


def _digest_words(kind: str, digest: str) -> str:
    return f"{kind} {digest}"


def _image_name(image: str | None) -> str:
    # Docker's short form of the same name.
    return (image or "unnamed").removeprefix("docker.io/").removeprefix("library/")


def _python_differs(folder: RunFolder) -> Check:
    def python(result: Result) -> str:
        return f"{result.worker.python_implementation} {result.worker.python_version}"

    results = _all_results(folder)
    return _check(
        "python_differs",
        "Pods and base case used the same Python",
        _who_had_what(results, python),
        good=python(results[0]),
        meaning="Pythons differ in speed",
    )


def _machine_differs(folder: RunFolder) -> Check:
    results = _all_results(folder)
    return _check(
        "machine_differs",
        "All computed on the same kind of machine",
        _who_had_what(results, lambda result: result.worker.machine),
        good=results[0].worker.machine,
        meaning="the speedup compares different machines",
    )


def _cpu_limit_differs(folder: RunFolder) -> Check:
    def limit(result: Result) -> str:
        return "no limit" if result.cpu_limit_cores is None else f"a limit of {result.cpu_limit_cores:g}"

    results = _all_results(folder)
    return _check(
        "cpu_limit_differs",
        "Pods and base case had the same CPU limit",
        _who_had_what(results, limit),
        good=limit(results[0]),
        meaning="the side with the higher limit has an advantage",
    )


def _duplicate_streams(pods: Sequence[Result]) -> Check:
    return _check(
        "duplicate_streams",
        "Every pod drew random numbers of its own",
        [f"pods {_listed(map(str, found))} share seed {seed}" for seed, found in same_streams(pods)],
        good=f"{len(pods)} different seeds",
        meaning="their samples are the same ones, so the merged pi is less certain than its samples suggest",
    )


def _pi_implausible(pi: PiEstimate) -> Check:
    code, title = "pi_implausible", "The estimate of pi is plausible"
    if pi.z_score is None:
        return Check(code, title, "unknown", "not tested, for the samples are not independent")
    figures = f"{pi.estimate:.6f} is {pi.z_score:+.2f} standard errors from pi"
    return _check(
        code,
        title,
        [figures] if abs(pi.z_score) > _MOST_STANDARD_ERRORS else [],
        good=figures,
        meaning="the samples were not random or the workers did not compute what they should",
    )


def _wall_time_missing(folder: RunFolder) -> Check:
    found = ["the Job" for wall in [folder.job.wall_seconds] if wall is None]
    found += [_who(baseline) for baseline in folder.baselines if baseline.wall_seconds is None]
    return _check(
        "wall_time_missing",
        "Wall times were taken on both sides",
        found,
        good="end-to-end figures are complete",
        meaning="without a wall time there is no end-to-end figure",
    )


def pods_makespan_seconds(pods: Sequence[Result]) -> float:
    """Return last finish minus first start of the pods, in seconds, by their Pis' clocks."""
    return makespan_seconds(
        [pod.worker.start_epoch_ns for pod in pods], [pod.worker.end_epoch_ns for pod in pods]
    )


def _check(code: str, title: str, found: Sequence[str], good: str, meaning: str) -> Check:
    if not found:
        return Check(code, title, "pass", good)
    return Check(code, title, "flag", f"{_listed(found, '; ')}: {meaning}")


def _who_had_what(results: Sequence[Result], what: Callable[[Result], str]) -> list[str]:
    """Return one text per value of `what`, with those who had it; nothing if it is the same for all."""
    owners: dict[str, list[str]] = defaultdict(list)
    for result in results:
        owners[what(result)].append(_who(result))
    if len(owners) == 1:
        return []
    return [f"{_listed(names)} had {one_line(value, 120)}" for value, names in owners.items()]


def _who(result: Result) -> str:
    if result.kind == "pod":
        return f"pod {result.worker.completion_index} on {result.host}"
    return f"base case {result.scaling} on {result.host}"


def _all_results(folder: RunFolder) -> tuple[Result, ...]:
    return (*folder.pods, *folder.baselines)


def _listed(texts: Iterable[str], separator: str = ", ") -> str:
    known = list(texts)
    shown = separator.join(known[:_SHOWN])
    return shown if len(known) <= _SHOWN else f"{shown} and {len(known) - _SHOWN} more"
