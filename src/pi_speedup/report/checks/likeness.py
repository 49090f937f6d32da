"""Did both sides, and all rounds, run the same thing on the same kind of machine?"""

from __future__ import annotations

from collections import defaultdict

from pi_speedup.catalogue import Message
from pi_speedup.model.host import HostState
from pi_speedup.report.checks.registry import (
    Finding,
    check,
    differences,
    different,
    flagged,
    passed,
    side_of,
    unknown,
    who_had_what,
)
from pi_speedup.report.evidence import Evidence, Work
from pi_speedup.report.images import comparable_kinds, same_images, short_name
from pi_speedup.report.wording import model_of
from pi_speedup.text import listed, one_line

# A limit that nothing enforces shows in what was used.
_MOST_BEYOND_LIMIT = 1.2
_QUOTA_SECONDS = 3.0


@check("base_pi")
def base_pi(evidence: Evidence) -> Finding:
    """Look where one Pi worked alone."""
    wanted = evidence.plan.base_pi
    found = [
        (
            m.round,
            Message("check.base_pi.ran", place=m.place, pi=work.pi, node=work.report.node, planned=wanted),
        )
        for m, work in evidence.works
        if m.cell.kind == "base" and not work.pi == work.report.node == wanted
    ]
    if wanted not in evidence.plan.pis:
        found += [(number, Message("check.base_pi.apart", pi=wanted)) for number in evidence.rounds[:1]]
    if found:
        return flagged(
            [each for _, each in found],
            Message("check.base_pi.possible"),
            "invalid",
            (number for number, _ in found),
        )
    return passed(Message("check.base_pi.passed", pi=wanted))


@check("base_runtime")
def base_runtime(evidence: Evidence) -> Finding:
    """Look what ran the base case."""
    runtimes = sorted({work.worker.runtime for m, work in evidence.works if m.cell.kind == "base"})
    if "process" in runtimes:
        return flagged(
            [Message("check.base_runtime.process", pi=evidence.plan.base_pi)],
            Message("check.base_runtime.possible"),
            "none",
        )
    return passed(Message("check.these", values=runtimes))


@check("image_differs")
def image_differs(evidence: Evidence) -> Finding:
    """Compare the images' names, then their digests of one kind."""
    containers = [(m, work) for m, work in evidence.works if work.worker.runtime != "process"]
    if not any(m.cell.kind == "base" for m, _ in containers):
        return unknown(Message("check.image_differs.no_image"))
    possible = Message("check.image_differs.possible")
    names = who_had_what(containers, lambda work: short_name(work.worker.image))
    if len(names) > 1:
        return flagged(different("image_differs", differences(names)), possible, "doubtful")
    ids_of: dict[str, list[str]] = defaultdict(list)
    for m, work in containers:
        known = ids_of[side_of(m, work)]
        known += [image_id for image_id in work.worker.image_ids if image_id not in known]
    groups = same_images(ids_of)
    name = listed(names)
    if len(groups) == 1 and groups[0].digests:
        digests = [f"{kind} {digest}" for kind, digest in sorted(groups[0].digests)]
        return passed(Message("check.image_differs.passed", name=name, digests=digests))
    kinds = comparable_kinds(groups)
    if kinds:
        found = [
            Message(
                "check.image_differs.digests",
                names=group.owners,
                digests=[f"{kind} {digest}" for kind, digest in sorted(group.digests) if kind in kinds],
            )
            for group in groups
            if any(kind in kinds for kind, _ in group.digests)
        ]
        return flagged(different("image_differs", found), possible, "doubtful")
    told = []
    for group in groups:
        kinds_told = sorted({kind for kind, _ in group.digests})
        digests_told = [Message(f"check.image_differs.{kind}") for kind in kinds_told]
        digests_told = digests_told or [Message("check.image_differs.no_digest")]
        told.append(Message("check.image_differs.told", names=group.owners, digests=digests_told))
    return unknown(Message("check.image_differs.unknown", name=name, told=told))


@check("machine_differs")
def machine_differs(evidence: Evidence) -> Finding:
    """Compare what the workers' systems call the machine."""
    owners = who_had_what(evidence.works, lambda work: work.report.machine)
    if len(owners) == 1:
        return passed(Message("check.these", values=list(owners)))
    found = different("machine_differs", differences(owners))
    return flagged(found, Message("check.machine_differs.possible"), "invalid")


@check("cpu_limit_differs")
def cpu_limit_differs(evidence: Evidence) -> Finding:
    """Compare the limits; where a plain process has none, what it used."""
    known = [(m, work) for m, work in evidence.works if work.worker.cpu_limit_cores is not None]
    owners = who_had_what(known, _limit)
    if known:
        # A rule of the namespace may set another one for all.
        cores = evidence.plan.settings.cpu_limit_cores * evidence.together.processes_per_pi
        planned = Message("check.cpu_limit_differs.limit", cores=cores)
        owners.setdefault(planned, []).append(Message("where.plan"))
    if len(owners) > 1:
        differ = different("cpu_limit_differs", differences(owners))
        return flagged(differ, Message("check.cpu_limit_differs.possible"), "invalid")
    free = [(m, work) for m, work in evidence.works if work.worker.cpu_limit_cores is None]
    if not free:
        return passed(Message("check.these", values=list(owners)))
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
            [
                Message(
                    "check.cpu_limit_differs.used", who=m.who(work), cores=work.cpu_seconds / work.seconds
                )
                for m, work in over
            ],
            Message("check.cpu_limit_differs.possible_free", limit=limit),
            "invalid",
            (m.round for m, _ in over),
        )
    limits = list(owners) or [Message("check.cpu_limit_differs.no_limit")]
    who = sorted({side_of(m, work) for m, work in free})
    return passed(Message("check.cpu_limit_differs.passed", limits=limits, who=who))


@check("rounds_alike")
def rounds_alike(evidence: Evidence) -> Finding:
    """Compare each Pi's and each side's Python, machine, limit and image from round to round."""
    seen: dict[tuple[Message, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for m, work in evidence.works:
        who = side_of(m, work)
        seen[who, "python"][evidence.workload.ran_in(work.report)].append(m.round)
        seen[who, "machine"][work.report.machine].append(m.round)
        seen[who, "limit"][
            Message("check.rounds_alike.no_limit")
            if work.full_limit_cores is None
            else f"{work.full_limit_cores:g}"
        ].append(m.round)
        seen[who, "image"][
            listed([short_name(work.worker.image), *sorted(work.worker.image_ids)], most=9)
        ].append(m.round)
    found = [
        Message(
            "check.rounds_alike.had",
            who=who,
            what=Message(f"what.{what}"),
            values=[
                Message(
                    "check.rounds_alike.in_rounds",
                    value=value if isinstance(value, Message) else one_line(value, 90),
                    rounds=sorted(set(rounds)),
                )
                for value, rounds in values.items()
            ],
        )
        for (who, what), values in seen.items()
        if len(values) > 1
    ]
    found += [
        Message("check.rounds_alike.changed", pi=pi, what=Message(f"what.{what}"))
        for pi in evidence.plan.pis
        for what, field in (("kernel", "kernel"), ("governor", "governors"))
        if len({value for state in evidence.states(pi) if (value := getattr(state, field))}) > 1
    ]
    if found:
        return flagged(found, Message("check.rounds_alike.possible"), "invalid")
    read = evidence.hosts and all(host.before and host.after for host in evidence.hosts)
    which = "passed" if read else "passed_here"
    return passed(Message(f"check.rounds_alike.{which}", count=len(evidence.rounds)))


@check("model_differs", without_rounds=True)
def model_differs(evidence: Evidence) -> Finding:
    """Compare the models without their revision."""
    return _same_state(evidence, "model")


@check("cores", without_rounds=True)
def cores(evidence: Evidence) -> Finding:
    """Compare the cores with each other and with the processes."""
    known = {pi: found for pi in evidence.plan.pis if (found := evidence.cores(pi)) is not None}
    processes = evidence.together.processes_per_pi
    few = [
        Message("check.cores.few", pi=pi, cores=found, processes=processes)
        for pi, found in known.items()
        if found < processes
    ]
    few += [
        Message("check.cores.usable", who=m.who(work), cores=usable, processes=len(work.report.processes))
        for m, work in evidence.works
        if (usable := work.report.usable_cores) is not None and usable < len(work.report.processes)
    ]
    if few:
        return flagged(few, Message("check.cores.possible"), "doubtful")
    silent = [pi for pi in evidence.plan.pis if pi not in known]
    if silent:
        key = "silent" if evidence.nodes_readable else "silent_nodes"
        return unknown(Message(f"check.cores.{key}", pis=silent))
    counts = sorted(set(known.values()))
    return passed(Message("check.cores.passed", cores=counts, used=processes))


@check("governor_differs", without_rounds=True)
def governor_differs(evidence: Evidence) -> Finding:
    """Compare the governors."""
    return _same_state(evidence, "governor")


@check("system_differs", without_rounds=True)
def system_differs(evidence: Evidence) -> Finding:
    """Compare what the cluster says of the Pis' systems."""
    if not evidence.nodes_readable:
        return unknown(Message("check.nodes_not_readable"))
    nodes = [node for pi in evidence.plan.pis if (node := evidence.node(pi)) is not None]
    if len(nodes) < evidence.pis:
        return unknown(Message("check.not_described"))
    found: list[Message] = []
    for what in ("kernel_version", "kubelet_version", "os_image"):
        owners: dict[str, list[str]] = defaultdict(list)
        for node in nodes:
            owners[str(getattr(node, what))].append(node.name)
        found += differences(owners)
    if found:
        differ = different("system_differs", found)
        return flagged(differ, Message("check.system_differs.possible"), "none")
    first = nodes[0]
    return passed(
        Message(
            "check.system_differs.passed",
            kernel=first.kernel_version,
            kubelet=first.kubelet_version,
            system=first.os_image,
        )
    )


def _same_state(evidence: Evidence, what: str) -> Finding:
    if not evidence.hosts:
        return unknown(Message("check.not_looked"))
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
        found = different(f"{what}_differs", differences(owners))
        return flagged(found, Message(f"check.{what}_differs.possible"), "doubtful")
    if silent:
        return unknown(Message(f"check.{what}_differs.silent", pis=silent))
    return passed(Message("check.these", values=list(owners)))


def _value(state: HostState, what: str) -> str:
    if what == "governor":
        return "+".join(state.governors)
    return model_of(state)


def _limit(work: Work) -> Message:
    return Message("check.cpu_limit_differs.limit", cores=work.full_limit_cores)
