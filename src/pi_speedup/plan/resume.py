"""May this run go on? Compare the sealed plan with what would be planned now."""

from __future__ import annotations

from collections.abc import Sequence

from pi_speedup.codes import Code
from pi_speedup.model.node import Nodes
from pi_speedup.model.plan import Plan
from pi_speedup.model.settings import PREFIX, Settings, is_local
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.text import one_line
from pi_speedup.workload import workload_of

# What a Pi is, as the cluster says.
_SYSTEM = {
    "architecture": "architecture",
    "cores": "number of cores",
    "kernel_version": "kernel",
    "os_image": "system",
    "kubelet_version": "kubelet",
    "container_runtime": "container runtime",
}


def check_same(
    plan: Plan,
    settings: Settings,
    *,
    pis: Sequence[str],
    base_pi: str,
    worker_sha256: str,
    program_sha256: str = "",
) -> None:
    """Raise ProblemError, naming all that differs, unless the plan is that of these settings and Pis.

    pis: all of the inventory, those too that the plan has left out.
    """
    changed = [
        (name, getattr(plan.settings, name), getattr(settings, name))
        for name in Settings.model_fields
        if not is_local(name) and getattr(plan.settings, name) != getattr(settings, name)
    ]
    words = [f"{PREFIX}{name} was {_shown(then)} and is {_shown(now)}" for name, then, now in changed]
    without = [each.pi for each in plan.left_out]
    if plan.pis != tuple(pi for pi in pis if pi not in without) or not {*without} <= {*pis}:
        then = [*plan.pis, *(f"{pi} (left out)" for pi in without)]
        words.append(f"the Pis were {', '.join(then)} and are {', '.join(pis)}")
    if plan.base_pi != base_pi:
        words.append(f"{plan.base_pi} worked alone, now {base_pi}")
    if plan.worker_sha256 != worker_sha256:
        words.append(f"{workload_of(plan.settings).program} has changed")
    if plan.program_sha256 != program_sha256:
        words.append("benchmark_program has changed")
    if words:
        raise _differs(plan, words, [f"-e {PREFIX}{name}={_shown(then)}" for name, then, _ in changed])


def check_same_systems(plan: Plan, before: Nodes, now: Nodes) -> None:
    """Raise ProblemError, naming all that differs, unless the Pis are what they were when the run began.

    Its rounds would be of two clusters, and the record is of the present one. What either did not say counts
    as the same.
    """
    known = {node.name: node for node in before.nodes}
    words = [
        f"{node.name}'s {name} was {one_line(then, 60)} and is {one_line(found, 60)}"
        for node in now.nodes
        for what, name in _SYSTEM.items()
        if node.name in known
        and (then := getattr(known[node.name], what)) is not None
        and (found := getattr(node, what)) is not None
        and then != found
    ]
    if words:
        raise _differs(plan, words, [])


def _differs(plan: Plan, words: Sequence[str], options: Sequence[str]) -> ProblemError:
    again = f"give {' '.join(options)}, or " if options else ""
    return refuse(
        Code.RUN_DIFFERS,
        f"run {plan.run_id}",
        f"cannot go on, its plan differs: {'; '.join(words)}",
        f"{again}leave benchmark_run_id out to begin a new run",
    )


def _shown(value: object) -> str:
    if value is None or value in ("", ()):
        return "''"
    return str(value).lower() if isinstance(value, bool) else str(value)
