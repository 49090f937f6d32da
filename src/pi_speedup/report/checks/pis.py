"""Were the Pis well? Judged from what the cluster, and each of itself, said before and after the run."""

from __future__ import annotations

from pi_speedup.model.host import HostState
from pi_speedup.report.checks.registry import Finding, check, flagged, passed, unknown
from pi_speedup.report.evidence import Evidence
from pi_speedup.text import listed

# Bits of the firmware's get_throttled: what is so now, and 16 bits higher what was so since the Pi started.
_NOW = {
    0: "under-voltage",
    1: "its frequency is capped",
    2: "throttled",
    3: "at its soft temperature limit",
}
_SINCE_START = 16
# From here on a Raspberry Pi 4 or 5 slows down.
_HOT_CELSIUS = 80.0
_NOT_LOOKED = "the Pis were not looked at (benchmark_host_checks is false)"


@check("nodes", "Each Pi's node could take a pod before the run", without_rounds=True)
def nodes(evidence: Evidence) -> Finding:
    """Read what the cluster said of the Pis' nodes when the run last began."""
    if not evidence.nodes_readable:
        return unknown(
            "the kubeconfig may not list nodes: the Pis are those of the inventory, and nobody looked "
            "whether their nodes are ready, cordoned or of another architecture"
        )
    described = [node for pi in evidence.plan.pis if (node := evidence.node(pi)) is not None]
    if len(described) < evidence.pis:
        return unknown("the cluster did not describe all Pis")
    found = [problem.cause for node in described for problem in node.problems]
    if found:
        return flagged(found, "Nothing was measured then; what was measured before counts.", "none")
    return passed(f"all ready, not cordoned, of architecture {evidence.plan.settings.architecture}")


@check("throttled", "No Pi was throttled", without_rounds=True)
def throttled(evidence: Evidence) -> Finding:
    """Read the firmware's bits. Those that were set before the run stay set until the Pi starts anew."""
    if not evidence.hosts:
        return unknown(_NOT_LOOKED)
    found = [f"{host.name} {word}" for host in evidence.hosts for word in words(host.before, host.after)]
    if found:
        return flagged(
            found,
            "A slowed Pi makes the speedup too low, or too high if it was slowed when it worked alone. "
            "Better power or cooling may help.",
            "doubtful",
        )
    silent = [host.name for host in evidence.hosts if not all(map(_tells, (host.before, host.after)))]
    if silent:
        return unknown(f"{listed(silent)} does not tell (vcgencmd get_throttled)")
    blind = [
        f"{host.name} ({listed(_now(host.before.throttled >> _SINCE_START))})"
        for host in evidence.hosts
        if host.before and host.before.throttled and _now(host.before.throttled >> _SINCE_START)
    ]
    if blind:
        return unknown(
            f"it had happened before the run on {listed(blind)}, and then the firmware does not tell whether "
            "it happened again; restart the Pi before the next run"
        )
    return passed("the firmware noted neither heat nor want of power")


@check("temperature", "No Pi was so hot that it slows down", without_rounds=True)
def temperature(evidence: Evidence) -> Finding:
    """Read the temperatures before and after the run, and before and after each trial."""
    told: dict[str, list[tuple[float, str]]] = {pi: [] for pi in evidence.plan.pis}
    for host in evidence.hosts:
        for when, state in (("before the run", host.before), ("after the run", host.after)):
            if state is not None and state.temperature_celsius is not None:
                told.setdefault(host.name, []).append((state.temperature_celsius, when))
    for measurement, work in evidence.works:
        for when, celsius in zip(("before", "after"), work.report.celsius, strict=True):
            if celsius is not None:
                told.setdefault(work.pi, []).append((celsius, f"{when} {measurement.place}"))
    hottest = {name: max(found) for name, found in told.items() if found}
    hot = [
        f"{name} had {celsius:.0f} \N{DEGREE SIGN}C {when}"
        for name, (celsius, when) in hottest.items()
        if celsius >= _HOT_CELSIUS
    ]
    if hot:
        return flagged(
            hot,
            "Possibly it slowed down. More cooling, or benchmark_rest_seconds between the trials, may help.",
            "doubtful",
        )
    silent = [name for name, found in told.items() if not found]
    if not hottest:
        return unknown(
            _NOT_LOOKED if not evidence.hosts else f"{listed(silent)} does not tell its temperature"
        )
    if silent:
        return unknown(f"{listed(silent)} does not tell its temperature")
    celsius, when = max(hottest.values())
    return passed(f"at most {celsius:.0f} \N{DEGREE SIGN}C, {when}")


@check("load", "No Pi was busy before the run", without_rounds=True)
def load(evidence: Evidence) -> Finding:
    """Compare the load before the run with the cores that the run does not need."""
    if not evidence.hosts:
        return unknown(_NOT_LOOKED)
    processes = evidence.together.processes_per_pi
    found, silent, most = [], [], 0.0
    for host in evidence.hosts:
        cores = evidence.cores(host.name)
        if host.before is None or host.before.load_1_minute is None or cores is None:
            silent.append(host.name)
            continue
        most = max(most, host.before.load_1_minute)
        # Half a process more than there are cores: something waits for another.
        if host.before.load_1_minute + processes > cores + 0.5:
            found.append(f"{host.name} had a load of {host.before.load_1_minute:.1f} on {cores} cores")
    if found:
        return flagged(found, "Possibly something else computed there during the run, too.", "doubtful")
    if silent:
        return unknown(f"{listed(silent)} does not tell its load or its cores")
    return passed(f"a load of {most:.1f} at most")


def words(before: HostState | None, after: HostState | None) -> tuple[str, ...]:
    """Return what slowed a Pi down before, during or after a run, in words; () if nothing is known to."""
    found = []
    for when, state in (("before", before), ("after", after)):
        if state is not None and state.throttled is not None and _now(state.throttled):
            found.append(f"{when} the run: {listed(_now(state.throttled))}")
    if before and after and before.throttled is not None and after.throttled is not None:
        fresh = (after.throttled & ~before.throttled) >> _SINCE_START
        if _now(fresh):
            found.append(f"during the run: {listed(_now(fresh))}")
    return tuple(found)


def _now(bits: int) -> list[str]:
    return [word for bit, word in _NOW.items() if bits >> bit & 1]


def _tells(state: HostState | None) -> bool:
    return state is not None and state.throttled is not None
