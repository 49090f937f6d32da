"""Is a Pi fit for a run, and was it the same Pi all through? Judged from what it said of itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pi_speedup.baseline import runtime_problem
from pi_speedup.checks import Check
from pi_speedup.host_state import Host, HostState

# Pods of a second apart would show as a makespan that no Pi needed.
_FLAGGED_CLOCK_SECONDS = 1.0
# No drift makes this: the clock was never set. Certificates and the makespan would both be wrong.
_MOST_CLOCK_SECONDS = 60.0
_64_BIT = ("arm64", "amd64", "riscv64", "ppc64le", "s390x")
_32_BIT_MACHINE = ("armv6", "armv7", "armv8l", "i386", "i686")
# Bits of the firmware's get_throttled: what is so now, and 16 bits higher what was so since the Pi started.
_NOW = {
    0: "under-voltage",
    1: "its frequency is capped",
    2: "throttled",
    3: "at its soft temperature limit",
}
_SINCE_START = 16
_SHOWN = 5
_NOT_LOOKED = "the Pis were not looked at (benchmark_host_checks is false)"


def host_problems(
    state: HostState,
    *,
    pi: str,
    architecture: str,
    runtime: str | None = None,
    runtime_outcome: Mapping[str, object] | None = None,
) -> tuple[str, ...]:
    """Return one line, with the next step, for each thing that a run on this Pi lacks.

    architecture: what Kubernetes calls the wanted one. runtime: what is to run the base case here, None on
    a Pi that runs none; runtime_outcome: what came of asking it, with rc, stdout and stderr.
    """
    problems = []
    if state.memory_cgroup is False:
        problems.append(
            f"{pi}: its kernel does not limit memory (no memory cgroup), so K3s cannot run there. Next: on "
            f"{pi} add `cgroup_memory=1 cgroup_enable=memory` to the end of the one line of "
            "/boot/firmware/cmdline.txt (/boot/cmdline.txt on older systems), then reboot"
        )
    problems += _too_few_bits(state, pi, architecture)
    if abs(state.clock_offset_seconds) - state.clock_uncertainty_seconds > _MOST_CLOCK_SECONDS:
        problems.append(
            f"{pi}: its clock is {_offset_words(state)}. Next: ssh {pi} timedatectl, and see that NTP is on "
            "there (sudo timedatectl set-ntp true, or chronyc makestep) and here"
        )
    if runtime is not None and runtime_outcome is not None and runtime_outcome.get("rc") != 0:
        problems.append(runtime_problem(runtime_outcome, host=pi, runtime=runtime))
    return tuple(problems)


def host_warnings(state: HostState, *, pi: str) -> tuple[str, ...]:
    """Return one line for each thing that will speak against the figures of a run, but does not forbid it."""
    warnings = []
    if _clock_is_off(state) and not abs(state.clock_offset_seconds) > _MOST_CLOCK_SECONDS:
        warnings.append(f"{pi}: its clock is {_offset_words(state)}. Next: see that NTP runs (timedatectl)")
    if state.throttled is not None and _now(state.throttled):
        warnings.append(
            f"{pi}: {', '.join(_now(state.throttled))}. Next: a stronger power supply, or more cooling"
        )
    return tuple(warnings)


def host_run_checks(hosts: Sequence[Host]) -> tuple[Check, ...]:
    """Return the checks of a run's Pis in a fixed order; all unknown where the Pis were not looked at."""
    return _throttled(hosts), _clock_offset(hosts), _governor_differs(hosts)


def throttled_words(before: HostState | None, after: HostState | None) -> tuple[str, ...]:
    """Return what slowed a Pi down before, during or after a run, in words; () if nothing is known to."""
    words = []
    for when, state in (("before", before), ("after", after)):
        if state is not None and state.throttled is not None and _now(state.throttled):
            words.append(f"{when} the run {', '.join(_now(state.throttled))}")
    if (
        before is not None
        and after is not None
        and before.throttled is not None
        and after.throttled is not None
    ):
        fresh = (after.throttled & ~before.throttled) >> _SINCE_START
        if _now(fresh):
            words.append(f"during the run {', '.join(_now(fresh))}")
    return tuple(words)


def _throttled(hosts: Sequence[Host]) -> Check:
    code, title = "throttled", "No Pi was throttled"
    if not hosts:
        return Check(code, title, "unknown", _NOT_LOOKED)
    found = [f"{host.name} {word}" for host in hosts for word in throttled_words(host.before, host.after)]
    silent = [host.name for host in hosts if not all(map(_tells_throttling, (host.before, host.after)))]
    return _judged(
        code,
        title,
        found,
        silent=silent,
        unknown="does not tell (vcgencmd get_throttled), so it is not known to be fine",
        good="no Pi slowed down for heat or want of power",
        meaning="a Pi that is slowed down shows too low a speedup, or too high a one if it ran alone; better "
        "power or cooling is needed",
    )


def _clock_offset(hosts: Sequence[Host]) -> Check:
    code, title = "clock_offset", "The Pis' clocks agree with the control host's"
    if not hosts:
        return Check(code, title, "unknown", _NOT_LOOKED)
    looks = [(host.name, state) for host in hosts for state in (host.before, host.after) if state is not None]
    found = {name: f"{name} is {_offset_words(state)}" for name, state in looks if _clock_is_off(state)}
    missed = [host.name for host in hosts if host.before is None and host.after is None]
    worst_name, worst = max(looks, key=lambda look: abs(look[1].clock_offset_seconds))
    return _judged(
        code,
        title,
        list(found.values()),
        silent=missed,
        unknown="could not be asked for its time of day",
        good=f"largest offset {_offset(worst)} on {worst_name}",
        meaning="the makespan rests on the Pis' time of day; see that NTP runs on every Pi and on the "
        "control host (timedatectl)",
    )


def _governor_differs(hosts: Sequence[Host]) -> Check:
    code, title = "governor_differs", "All Pis ran under the same frequency governor"
    if not hosts:
        return Check(code, title, "unknown", _NOT_LOOKED)
    owners: dict[str, list[str]] = defaultdict(list)
    silent = []
    for host in hosts:
        state = host.before or host.after
        if state is not None and state.governors:
            owners["+".join(state.governors)].append(host.name)
        else:
            silent.append(host.name)
    found = [f"{governor} on {_listed(names)}" for governor, names in owners.items()]
    return _judged(
        code,
        title,
        found if len(owners) > 1 else [],
        silent=silent,
        unknown="does not tell its governor",
        good=_listed(list(owners)),
        meaning="Pis under different governors run at different frequencies; set one for all",
    )


def _too_few_bits(state: HostState, pi: str, architecture: str) -> list[str]:
    if architecture not in _64_BIT:
        return []
    if state.machine is not None and state.machine.startswith(_32_BIT_MACHINE):
        what = f"a 32-bit system (its kernel calls the machine {state.machine})"
    elif state.userland_bits == 32:
        what = f"a 32-bit userland on a 64-bit kernel ({state.machine})"
    else:
        return []
    return [
        f"{pi}: runs {what}, {architecture} was asked for. Next: install the 64-bit Raspberry Pi OS, or set "
        "benchmark_architecture: arm for all Pis"
    ]


def _clock_is_off(state: HostState) -> bool:
    return abs(state.clock_offset_seconds) - state.clock_uncertainty_seconds > _FLAGGED_CLOCK_SECONDS


def _offset(state: HostState) -> str:
    return f"{state.clock_offset_seconds:+.2f} s (+/- {state.clock_uncertainty_seconds:.2f} s)"


def _offset_words(state: HostState) -> str:
    direction = "ahead of" if state.clock_offset_seconds > 0 else "behind"
    return (
        f"{abs(state.clock_offset_seconds):.1f} s (+/- {state.clock_uncertainty_seconds:.1f} s) {direction} "
        "the control host's"
    )


def _now(bits: int) -> list[str]:
    return [word for bit, word in _NOW.items() if bits >> bit & 1]


def _tells_throttling(state: HostState | None) -> bool:
    return state is not None and state.throttled is not None


def _judged(
    code: str,
    title: str,
    found: Sequence[str],
    *,
    silent: Sequence[str],
    unknown: str,
    good: str,
    meaning: str,
) -> Check:
    """Return a flag for what was found, else unknown where Pis were silent, else a pass."""
    if found:
        return Check(code, title, "flag", f"{_listed(found, '; ')}: {meaning}")
    if silent:
        return Check(code, title, "unknown", f"{_listed(silent)}: {unknown}")
    return Check(code, title, "pass", good)


def _listed(texts: Sequence[str], separator: str = ", ") -> str:
    shown = separator.join(texts[:_SHOWN])
    return shown if len(texts) <= _SHOWN else f"{shown} and {len(texts) - _SHOWN} more"
