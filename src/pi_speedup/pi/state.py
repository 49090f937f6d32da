"""What a Pi says of itself before and after a run: raw text of its files and commands, parsed and frozen.

What cannot be read is None, never a guess: a Pi that does not tell whether it was throttled is not well, it
is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from pi_speedup.codes import Code
from pi_speedup.model.host import HostState
from pi_speedup.pi.runtime import podman_info
from pi_speedup.problem import refuse
from pi_speedup.text import one_line

_MOST_GOVERNORS = 1024
_TEXT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A clock's times `first` and `last`, told between `asked` and `answered` of ours; ns since 1970."""

    asked: int
    first: int
    last: int
    answered: int


def host_state(
    pi: str,
    observed: Mapping[str, object],
    *,
    asked_ns: int,
    answered_ns: int,
    date: tuple[int, str, int] | None = None,
) -> HostState:
    """Return the state that the module `pi_host_facts` observed on a Pi.

    asked_ns, answered_ns: the control host's time of day around the module's run, in ns since 1970. date: the
    same around a `date +%s%N` on the Pi, with what that printed between them; it tells more exactly, for
    nothing had to be sent and unpacked first.
    ProblemError if the observation holds no times of day: then it is not that module's.
    """
    first, last = (observed.get(key) for key in ("first_epoch_ns", "last_epoch_ns"))
    if not _is_time(first) or not _is_time(last):
        raise refuse(Code.PI_CANNOT_BE_LOOKED_AT, pi, "it did not tell its time of day", f"ssh {pi} date")
    readings = [ClockReading(asked_ns, first, last, answered_ns)]
    # Where date knows no %N, as busybox' does not, it prints something else.
    if date is not None and re.fullmatch(r"-?\d{16,20}\s*", date[1]):
        readings.append(ClockReading(date[0], int(date[1]), int(date[1]), date[2]))
    offset, uncertainty = clock_offset_seconds(readings)
    bits, governors = observed.get("userland_bits"), observed.get("governors")
    return HostState(
        model=_text(observed.get("device_tree_model")),
        os_name=_os_name(_raw(observed, "os_release")),
        kernel=_text(observed.get("kernel")),
        machine=_text(observed.get("machine")),
        userland_bits=32 if bits == 32 else 64 if bits == 64 else None,
        cores=_cores(observed.get("cores")),
        memory_bytes=_memory_bytes(_raw(observed, "meminfo")),
        memory_cgroup=_memory_cgroup(_raw(observed, "cgroup_controllers"), _raw(observed, "cgroups")),
        temperature_celsius=_temperature(
            _raw(observed, "vcgencmd_temperature"), observed.get("thermal_zones")
        ),
        throttled=parse_throttled(_raw(observed, "vcgencmd_throttled") or _raw(observed, "sysfs_throttled")),
        governors=tuple(sorted({name for item in _items(governors) if (name := _text(item))}))[
            :_MOST_GOVERNORS
        ],
        load_1_minute=_first_number(_raw(observed, "loadavg")),
        clock_offset_seconds=offset,
        clock_uncertainty_seconds=uncertainty,
        # The middle of all readings: within seconds no clock drifts by more than some 0.1 ms.
        clock_read_epoch_ns=(asked_ns + answered_ns) // 2,
        runtime_version=_runtime_version(observed.get("runtime")),
    )


def clock_offset_seconds(readings: Sequence[ClockReading]) -> tuple[float, float]:
    """Return offset and uncertainty, in seconds, of a clock that was read once or more.

    Each reading bounds the offset: last - answered <= offset <= first - asked, however unequal the ways there
    and back are; for one reading the middle is theta of RFC 5905, section 8, and half the width delta / 2. Of
    several, what all agree on is taken (Marzullo 1984). Assumed: both clocks ran on and equally fast. Where
    one was set meanwhile nothing is agreed on, and the reading with the narrowest bounds stands alone.
    """
    bounds = [(reading.last - reading.answered, reading.first - reading.asked) for reading in readings]
    low, high = max(low for low, _ in bounds), min(high for _, high in bounds)
    if low > high:
        low, high = min(bounds, key=lambda bound: abs(bound[1] - bound[0]))
    return (low + high) / 2e9, abs(high - low) / 2e9


def parse_throttled(text: str | None) -> int | None:
    """Return the bits of `vcgencmd get_throttled` (throttled=0x50005) or of the kernel's file (50005)."""
    found = re.fullmatch(r"\s*(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})\s*", text or "")
    return int(found[1], 16) if found else None


def _is_time(value: object) -> TypeGuard[int]:
    """Say whether it is a time in 64 bits of nanoseconds since 1970, or before it."""
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _raw(observed: Mapping[str, object], key: str) -> str | None:
    value = observed.get(key)
    return value if isinstance(value, str) else None


def _text(value: object) -> str | None:
    # The device tree ends its texts with a zero byte.
    return (one_line(value, _TEXT_LIMIT) or None) if isinstance(value, str) else None


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _os_name(os_release: str | None) -> str | None:
    found = re.search(r"^PRETTY_NAME=(.*)$", os_release or "", re.MULTILINE)
    return _text(found[1].strip().strip("\"'")) if found else None


def _cores(value: object) -> int | None:
    return int(value) if isinstance(value, int) and 1 <= value <= 4096 else None


def _memory_bytes(meminfo: str | None) -> int | None:
    found = re.search(r"^MemTotal:\s+(\d{1,15}) kB$", meminfo or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _memory_cgroup(controllers: str | None, cgroups: str | None) -> bool | None:
    """Return whether the kernel can limit memory: from v2's list of controllers, else from v1's table."""
    if controllers is not None:
        return "memory" in controllers.split()
    for line in (cgroups or "").splitlines():
        # subsys_name, hierarchy, num_cgroups, enabled
        columns = line.split()
        if len(columns) == 4 and columns[0] == "memory":
            return columns[3] == "1"
    return False if cgroups and cgroups.startswith("#subsys_name") else None


def _temperature(vcgencmd: str | None, zones: object) -> float | None:
    found = re.fullmatch(r"\s*temp=(-?\d{1,3}(?:\.\d+)?)'C\s*", vcgencmd or "")
    if found:
        return _possible(float(found[1]))
    # The kernel's zones: [type, thousandths of a degree]. A Pi has one, cpu-thermal.
    known = [zone for zone in _items(zones) if isinstance(zone, list) and len(zone) == 2]
    for kind, text in sorted(known, key=lambda zone: "cpu" not in str(zone[0])):
        if re.fullmatch(r"\s*-?\d{1,6}\s*", str(text)) and kind is not None:
            return _possible(int(str(text)) / 1000)
    return None


def _possible(celsius: float) -> float | None:
    """Return a temperature, None for a sensor's mark of having none (some kernels show -274)."""
    return celsius if celsius >= -100 else None


def _first_number(text: str | None) -> float | None:
    found = re.match(r"\d{1,6}(?:\.\d{1,6})?(?=\s|$)", text or "")
    return float(found[0]) if found else None


def _runtime_version(outcome: object) -> str | None:
    if not isinstance(outcome, Mapping) or outcome.get("rc") != 0:
        return None
    said = str(outcome.get("stdout") or "")
    # Docker prints its version alone, podman all that it knows of the machine.
    described = podman_info(said)
    return _text(described.get("version", {}).get("Version") if described else said)
