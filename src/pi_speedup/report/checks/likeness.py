"""Did both sides, and all rounds, run the same thing on the same kind of machine?"""

from __future__ import annotations

import re
from collections import defaultdict

from pi_speedup.model.host import HostState
from pi_speedup.model.report import Effect
from pi_speedup.report.checks.registry import (
    Finding,
    check,
    differences,
    flagged,
    passed,
    side_of,
    unknown,
    who_had_what,
)
from pi_speedup.report.evidence import Evidence, Work
from pi_speedup.report.images import comparable_kinds, same_images, short_name
from pi_speedup.text import listed, one_line

_NO_NODES = "the kubeconfig may not list nodes"
_NOT_LOOKED = "the Pis were not looked at (benchmark_host_checks is false)"
# A limit that nothing enforces shows in what was used.
_MOST_BEYOND_LIMIT = 1.2
_QUOTA_SECONDS = 3.0


@check("base_pi", "The base case ran on the Pi that was planned, one of those that work together")
def base_pi(evidence: Evidence) -> Finding:
    """Look where one Pi worked alone."""
    wanted = evidence.plan.base_pi
    found = [
        (m.round, f"{m.place} ran on {work.pi} (it calls itself {work.report.node}), planned: {wanted}")
        for m, work in evidence.works
        if m.cell.kind == "base" and not work.pi == work.report.node == wanted
    ]
    if wanted not in evidence.plan.pis:
        found += [
            (number, f"{wanted} is not one of the Pis that work together") for number in evidence.rounds[:1]
        ]
    if found:
        return flagged(
            [text for _, text in found],
            "The speedup compares different machines.",
            "invalid",
            (number for number, _ in found),
        )
    return passed(f"on {wanted}")


@check("base_runtime", "The base case ran in a container, as the pods did")
def base_runtime(evidence: Evidence) -> Finding:
    """Look what ran the base case."""
    runtimes = sorted({work.worker.runtime for m, work in evidence.works if m.cell.kind == "base"})
    if "process" in runtimes:
        return flagged(
            [f"{evidence.plan.base_pi} alone ran a plain process"],
            "It has no container's overhead, which matters end to end, and no image of its own.",
            "none",
        )
    return passed(listed(runtimes))


@check("image_differs", "Pods and base case used the same image")
def image_differs(evidence: Evidence) -> Finding:
    """Compare the images' names, then their digests of one kind."""
    containers = [(m, work) for m, work in evidence.works if work.worker.runtime != "process"]
    if not any(m.cell.kind == "base" for m, _ in containers):
        return unknown("the base case used no image: it ran as a plain process")
    possible = "Another image may hold another Python."
    names = who_had_what(containers, lambda work: short_name(work.worker.image))
    if len(names) > 1:
        return flagged(differences(names), possible, "doubtful")
    ids_of: dict[str, list[str]] = defaultdict(list)
    for m, work in containers:
        known = ids_of[side_of(m, work)]
        known += [image_id for image_id in work.worker.image_ids if image_id not in known]
    groups = same_images(ids_of)
    name = listed(names)
    if len(groups) == 1 and groups[0].digests:
        return passed(f"{name}, {listed(f'{kind} {digest}' for kind, digest in sorted(groups[0].digests))}")
    kinds = comparable_kinds(groups)
    if kinds:
        found = [
            f"{listed(group.owners)} had "
            + listed(f"{kind} {digest}" for kind, digest in sorted(group.digests) if kind in kinds)
            for group in groups
            if any(kind in kinds for kind, _ in group.digests)
        ]
        return flagged(found, possible, "doubtful")
    told = [
        f"{listed(group.owners)} told "
        + (listed(sorted({f"the {kind}'s digest" for kind, _ in group.digests}), " and ") or "no digest")
        for group in groups
    ]
    return unknown(f"same name {name}, but no digest to compare: {listed(told, '; ')}")


@check("python_differs", "Pods and base case used the same Python")
def python_differs(evidence: Evidence) -> Finding:
    """Compare implementation and version; another patch release is hardly faster or slower."""
    owners = who_had_what(evidence.works, _python)
    if len(owners) == 1:
        return passed(listed(owners))
    same_line = len({re.sub(r"(\d+\.\d+).*", r"\1", python) for python in owners}) == 1
    return flagged(
        differences(owners),
        "Pythons differ in speed, by a half from one release to another.",
        "doubtful" if same_line else "invalid",
    )


@check("machine_differs", "All computed on the same type of machine")
def machine_differs(evidence: Evidence) -> Finding:
    """Compare what the workers' systems call the machine."""
    owners = who_had_what(evidence.works, lambda work: work.report.machine)
    if len(owners) == 1:
        return passed(listed(owners))
    return flagged(differences(owners), "The speedup compares different machines.", "invalid")


@check("cpu_limit_differs", "Pods and base case had the same CPU limit")
def cpu_limit_differs(evidence: Evidence) -> Finding:
    """Compare the limits; where a plain process has none, what it used."""
    known = [(m, work) for m, work in evidence.works if work.worker.cpu_limit_cores is not None]
    owners = who_had_what(known, lambda work: f"a limit of {work.full_limit_cores:g}")
    if len(owners) > 1:
        return flagged(differences(owners), "The side with the higher limit has an advantage.", "invalid")
    free = [(m, work) for m, work in evidence.works if work.worker.cpu_limit_cores is None]
    if not free:
        return passed(listed(owners))
    limit = evidence.plan.settings.cpu_limit_cores
    over = [
        (m, work)
        for m, work in free
        # A short run may live on the burst that a quota allows.
        if limit < 1
        and work.seconds >= _QUOTA_SECONDS
        and work.cpu_seconds / work.seconds > _MOST_BEYOND_LIMIT * limit * len(work.report.processes)
    ]
    if over:
        return flagged(
            [f"{m.who(work)} used {work.cpu_seconds / work.seconds:.2f} cores" for m, work in over],
            f"Pods may use {limit:g} of a core, and nothing limited the base case.",
            "invalid",
            (m.round for m, _ in over),
        )
    who = listed(sorted({side_of(m, work) for m, work in free}))
    return passed(f"{listed(owners) or 'no limit'}; {who} had none and used no more")


@check("rounds_alike", "All rounds ran the same thing")
def rounds_alike(evidence: Evidence) -> Finding:
    """Compare each Pi's and each side's Python, machine, limit and image from round to round."""
    seen: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for m, work in evidence.works:
        who = side_of(m, work)
        seen[who, "Python"][_python(work)].append(m.round)
        seen[who, "machine"][work.report.machine].append(m.round)
        seen[who, "CPU limit"][
            "none" if work.full_limit_cores is None else f"{work.full_limit_cores:g}"
        ].append(m.round)
        seen[who, "image"][
            listed([short_name(work.worker.image), *sorted(work.worker.image_ids)], most=9)
        ].append(m.round)
    found = [
        f"{who} had {what} "
        + " and ".join(
            f"{one_line(value, 90)} in round {listed(sorted(set(rounds)))}"
            for value, rounds in values.items()
        )
        for (who, what), values in seen.items()
        if len(values) > 1
    ]
    found += [
        f"{host.name} had another {what} before than after"
        for host in evidence.hosts
        if host.before and host.after
        for what, before, after in (
            ("kernel", host.before.kernel, host.after.kernel),
            ("frequency governor", host.before.governors, host.after.governors),
        )
        if before and after and before != after
    ]
    if found:
        return flagged(found, "The rounds measure different things, so they give no interval.", "invalid")
    return passed(f"Python, machine, limit and image of {len(evidence.rounds)} rounds")


@check("model_differs", "All Pis are of the same model", without_rounds=True)
def model_differs(evidence: Evidence) -> Finding:
    """Compare the models without their revision."""
    return _same_state(
        evidence, "model", "Different models differ in speed: the choice of the base Pi decides the speedup."
    )


@check("cores", "Each Pi has as many cores as it runs processes", without_rounds=True)
def cores(evidence: Evidence) -> Finding:
    """Compare the cores with each other and with the processes."""
    known = {pi: found for pi in evidence.plan.pis if (found := evidence.cores(pi)) is not None}
    processes = evidence.together.processes_per_pi
    few = [f"{pi} has {found} and runs {processes}" for pi, found in known.items() if found < processes]
    few += [
        f"{m.who(work)} may use {usable} and runs {len(work.report.processes)}"
        for m, work in evidence.works
        if (usable := work.report.usable_cores) is not None and usable < len(work.report.processes)
    ]
    if few:
        return flagged(few, "Its processes wait for each other.", "doubtful")
    silent = [pi for pi in evidence.plan.pis if pi not in known]
    if silent:
        why = "" if evidence.nodes_readable else f": {_NO_NODES}"
        return unknown(f"nobody told how many {listed(silent)} has{why}")
    counts = sorted(set(known.values()))
    return passed(f"{listed(counts, ' or ')} cores, {processes} used")


@check("governor_differs", "All Pis ran under the same frequency governor", without_rounds=True)
def governor_differs(evidence: Evidence) -> Finding:
    """Compare the governors."""
    return _same_state(
        evidence, "governor", "Pis under different governors run at different frequencies; set one for all."
    )


@check("system_differs", "All Pis have the same kernel and kubelet", without_rounds=True)
def system_differs(evidence: Evidence) -> Finding:
    """Compare what the cluster says of the Pis' systems."""
    if not evidence.nodes_readable:
        return unknown(_NO_NODES)
    nodes = [node for pi in evidence.plan.pis if (node := evidence.node(pi)) is not None]
    if len(nodes) < evidence.pis:
        return unknown("the cluster did not describe all Pis")
    found = []
    for what in ("kernel_version", "kubelet_version", "os_image"):
        owners: dict[str, list[str]] = defaultdict(list)
        for node in nodes:
            owners[str(getattr(node, what))].append(node.name)
        found += differences(owners)
    if found:
        return flagged(found, "That may make a Pi faster or slower.", "none")
    first = nodes[0]
    return passed(f"kernel {first.kernel_version}, kubelet {first.kubelet_version}, {first.os_image}")


def _same_state(evidence: Evidence, what: str, possible: str, effect: Effect = "doubtful") -> Finding:
    if not evidence.hosts:
        return unknown(_NOT_LOOKED)
    owners: dict[str, list[str]] = defaultdict(list)
    silent = []
    for host in evidence.hosts:
        state = host.before or host.after
        value = _value(state, what) if state else ""
        if value:
            owners[value].append(host.name)
        else:
            silent.append(host.name)
    if len(owners) > 1:
        return flagged(differences(owners), possible, effect)
    if silent:
        return unknown(f"{listed(silent)} does not tell its {what}")
    return passed(listed(owners))


def _value(state: HostState, what: str) -> str:
    if what == "governor":
        return "+".join(state.governors)
    # A revision of a board is the same model to most people, and often as fast.
    return re.sub(r" Rev \S+$", "", state.model or "")


def _python(work: Work) -> str:
    return f"{work.report.python_implementation} {work.report.python_version}"
