"""Is a Pi fit for a run? Judged, before it begins, from what the Pi said of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pi_speedup.catalogue import Message
from pi_speedup.codes import Code
from pi_speedup.model.host import HostState
from pi_speedup.pi.runtime import runtime_problem
from pi_speedup.pi.shell import Outcome
from pi_speedup.problem import Problem

# Pods a second apart would show as time that no Pi needed.
_WARNED_CLOCK_SECONDS = 1.0
# No drift makes this: the clock was never set. Certificates would not be valid either.
_MOST_CLOCK_SECONDS = 60.0
_DAY_SECONDS = 86400.0
# The year of the first Raspberry Pi.
_NO_PI_YET = 2012
_64_BIT = ("arm64", "amd64", "riscv64", "ppc64le", "s390x")
_32_BIT_MACHINE = ("armv6", "armv7", "armv8l", "i386", "i686")


def problems(
    state: HostState,
    *,
    pi: str,
    architecture: str,
    runtime: str | None = None,
    runtime_outcome: Outcome | None = None,
) -> tuple[Problem, ...]:
    """Return each thing that a run on this Pi lacks.

    architecture: what Kubernetes calls the wanted one. runtime: what is to run the base case here, None on
    a Pi that runs none; runtime_outcome: what came of asking it.
    """
    found = []
    if state.memory_cgroup is False:
        found.append(
            Problem(
                code=Code.PI_WITHOUT_MEMORY_CGROUP,
                subject=pi,
                what="its kernel does not limit memory (no memory cgroup), so K3s cannot run there",
                next_step=f"on {pi} add `cgroup_memory=1 cgroup_enable=memory` to the end of the one line of "
                "/boot/firmware/cmdline.txt (/boot/cmdline.txt on older systems), then reboot",
            )
        )
    bits = _too_few_bits(state, architecture)
    if bits is not None:
        found.append(
            Problem(
                code=Code.PI_32_BIT,
                subject=pi,
                what=f"it runs {bits}, {architecture} was asked for",
                next_step="install the 64-bit Raspberry Pi OS, or set benchmark_architecture: arm for all",
            )
        )
    if _clock_is_off(state, _MOST_CLOCK_SECONDS):
        found.append(
            Problem(
                code=Code.PI_CLOCK_OFF,
                subject=pi,
                what=f"its clock is {offset_words(state)}",
                next_step=f"ssh {pi} timedatectl, and see that NTP is on there (sudo timedatectl set-ntp "
                "true, or chronyc makestep) and here",
            )
        )
    if runtime is not None and runtime_outcome is not None:
        problem = runtime_problem(runtime_outcome, pi=pi, runtime=runtime)
        found += [problem] if problem else []
    return tuple(found)


def warnings(state: HostState, *, pi: str) -> tuple[Problem, ...]:
    """Return each thing that makes the figures of a run doubtful, but does not forbid it."""
    found = []
    if _clock_is_off(state, _WARNED_CLOCK_SECONDS) and not _clock_is_off(state, _MOST_CLOCK_SECONDS):
        found.append(
            Problem(
                code=Code.PI_CLOCK_OFF,
                subject=pi,
                what=f"its clock is {offset_words(state)}",
                next_step=f"ssh {pi} timedatectl, and timedatectl here: NTP should be on at both",
            )
        )
    if slowed := state.slowed_now:
        found.append(
            Problem(
                code=Code.PI_THROTTLED,
                subject=pi,
                what=", ".join(Message(f"throttling.{name}") for name in slowed),
                next_step="a stronger power supply, or more cooling",
            )
        )
    return tuple(found)


def offset_words(state: HostState) -> str:
    """Return how far a Pi's clock is off, such as `3.0 s (+/- 0.1 s) ahead of the control host's`.

    Beyond a day its date says more than a number: a Pi has no clock that runs on without power.
    """
    if abs(state.clock_offset_seconds) > _DAY_SECONDS and state.clock_read_epoch_ns is not None:
        moment = timedelta(seconds=state.clock_read_epoch_ns / 1e9 + state.clock_offset_seconds)
        there = (datetime(1970, 1, 1, tzinfo=UTC) + moment).date()
        never = ": it was not set since the Pi started" if there.year < _NO_PI_YET else ""
        return f"at {there}{never}"
    direction = "ahead of" if state.clock_offset_seconds > 0 else "behind"
    return (
        f"{abs(state.clock_offset_seconds):.1f} s (+/- {state.clock_uncertainty_seconds:.1f} s) {direction} "
        "the control host's"
    )


def _clock_is_off(state: HostState, seconds: float) -> bool:
    return abs(state.clock_offset_seconds) - state.clock_uncertainty_seconds > seconds


def _too_few_bits(state: HostState, architecture: str) -> str | None:
    if architecture not in _64_BIT:
        return None
    if state.machine is not None and state.machine.startswith(_32_BIT_MACHINE):
        return f"a 32-bit system (its kernel calls the machine {state.machine})"
    if state.userland_bits == 32:
        return f"a 32-bit userland on a 64-bit kernel ({state.machine})"
    return None
