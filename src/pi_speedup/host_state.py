"""What a Pi says of itself before and after a run: raw text of its files and commands, parsed and frozen.

What cannot be read is None, never a guess: a Pi that does not tell whether it was throttled is not well, it
is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from pi_speedup.fields import Fields, load_object
from pi_speedup.plain import one_line

BEFORE, AFTER = "before", "after"
# A clock that was never set stands at 1970: that is no error of the file.
_MOST_CLOCK_SECONDS = 1e11
_MAX_FILE_BYTES = 64 * 1024
_MAX_GOVERNORS = 1024
_TEXT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class HostState:
    """One look at one Pi; None for what it did not tell.

    `throttled` holds the firmware's bits as they are. `clock_offset_seconds` is the Pi's time of day minus
    the control host's; the true one lies within `clock_uncertainty_seconds` of it. `governors` are the
    different ones of all cores.
    """

    model: str | None
    os_name: str | None
    kernel: str | None
    machine: str | None
    userland_bits: int | None
    memory_bytes: int | None
    memory_cgroup: bool | None
    temperature_celsius: float | None
    throttled: int | None
    governors: tuple[str, ...]
    load_1_minute: float | None
    clock_offset_seconds: float
    clock_uncertainty_seconds: float
    runtime_version: str | None


@dataclass(frozen=True, slots=True)
class Host:
    """One Pi of the run; None for a look that was not taken or failed."""

    name: str
    before: HostState | None
    after: HostState | None


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A clock's times `first` and `last`, told between `asked` and `answered` of ours; ns since 1970."""

    asked: int
    first: int
    last: int
    answered: int


def host_state(
    observed: Mapping[str, object],
    *,
    asked_ns: int,
    answered_ns: int,
    date: tuple[int, str, int] | None = None,
) -> HostState:
    """Return the state that the module `pi_host_facts` observed.

    asked_ns, answered_ns: the control host's time of day around the module's run, in ns since 1970. date: the
    same around a `date +%s%N` on the Pi, with what that printed between them; it tells more exactly, for
    nothing had to be sent and unpacked first.
    ValueError (one line) if the observation holds no times of day: then it is none of that module.
    """
    first, last = (observed.get(key) for key in ("first_epoch_ns", "last_epoch_ns"))
    if not isinstance(first, int) or not isinstance(last, int):
        raise ValueError("it did not tell its time of day")
    readings = [ClockReading(asked_ns, first, last, answered_ns)]
    # Where date knows no %N, as busybox' does not, it prints something else.
    if date is not None and re.fullmatch(r"\d{16,20}\s*", date[1]):
        readings.append(ClockReading(date[0], int(date[1]), int(date[1]), date[2]))
    offset, uncertainty = clock_offset_seconds(readings)
    bits = observed.get("userland_bits")
    governors = observed.get("governors")
    return HostState(
        model=_text(observed.get("device_tree_model")),
        os_name=_os_name(_raw(observed, "os_release")),
        kernel=_text(observed.get("kernel")),
        machine=_text(observed.get("machine")),
        userland_bits=bits if bits in (32, 64) and isinstance(bits, int) else None,
        memory_bytes=_memory_bytes(_raw(observed, "meminfo")),
        memory_cgroup=_memory_cgroup(_raw(observed, "cgroup_controllers"), _raw(observed, "cgroups")),
        temperature_celsius=_temperature(
            _raw(observed, "vcgencmd_temperature"), observed.get("thermal_zones")
        ),
        throttled=parse_throttled(_raw(observed, "vcgencmd_throttled") or _raw(observed, "sysfs_throttled")),
        governors=tuple(sorted({name for item in _items(governors) if (name := _text(item)) is not None})),
        load_1_minute=_first_number(_raw(observed, "loadavg")),
        clock_offset_seconds=offset,
        clock_uncertainty_seconds=uncertainty,
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


def host_file(pi: str, when: str) -> str:
    """Return the path, in the run's folder, of one look at one Pi."""
    return f"hosts/{pi}.{when}.json"


def host_record(pi: str, when: str, state: HostState) -> dict[str, object]:
    """Return the content of that file."""
    return {"schema_version": 1, "pi": pi, "when": when, **asdict(state)}


def read_hosts(files: Mapping[str, str], pis: Iterable[str]) -> tuple[Host, ...]:
    """Return the Pis in the order given, from text by path in the run's folder; none if none was looked at.

    ValueError (one line, naming the file) for a file that is wrong.
    """
    hosts = tuple(Host(pi, _read_one(files, pi, BEFORE), _read_one(files, pi, AFTER)) for pi in pis)
    return hosts if any(host.before or host.after for host in hosts) else ()


def _read_one(files: Mapping[str, str], pi: str, when: str) -> HostState | None:
    path = host_file(pi, when)
    if path not in files:
        return None
    data = Fields(load_object(files[path], path, _MAX_FILE_BYTES), path)
    data.version()
    data.one_of("pi", pi)
    data.one_of("when", when)
    data.only(frozenset({"schema_version", "pi", "when"} | {field.name for field in fields(HostState)}))
    governors = data.texts("governors")
    if len(governors) > _MAX_GOVERNORS:
        data.fail("governors", f"at most {_MAX_GOVERNORS} names")
    return HostState(
        model=data.text_or_none("model"),
        os_name=data.text_or_none("os_name"),
        kernel=data.text_or_none("kernel"),
        machine=data.text_or_none("machine"),
        userland_bits=data.integer_or_none("userland_bits"),
        memory_bytes=data.integer_or_none("memory_bytes"),
        memory_cgroup=None if data.data.get("memory_cgroup") is None else data.boolean("memory_cgroup"),
        temperature_celsius=_number_or_none(data, "temperature_celsius", -273.15, 1000),
        throttled=data.integer_or_none("throttled"),
        governors=governors,
        load_1_minute=_number_or_none(data, "load_1_minute", 0, 1e9),
        clock_offset_seconds=data.number("clock_offset_seconds", -_MOST_CLOCK_SECONDS, _MOST_CLOCK_SECONDS),
        clock_uncertainty_seconds=data.number("clock_uncertainty_seconds", 0, _MOST_CLOCK_SECONDS),
        runtime_version=data.text_or_none("runtime_version"),
    )


def _number_or_none(data: Fields, key: str, minimum: float, maximum: float) -> float | None:
    return None if data.data.get(key) is None else data.number(key, minimum, maximum)


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
        return float(found[1])
    # The kernel's zones: [type, thousandths of a degree]. A Pi has one, cpu-thermal.
    known = [zone for zone in _items(zones) if isinstance(zone, list) and len(zone) == 2]
    for kind, text in sorted(known, key=lambda zone: "cpu" not in str(zone[0])):
        if re.fullmatch(r"\s*-?\d{1,6}\s*", str(text)) and kind is not None:
            return int(str(text)) / 1000
    return None


def _first_number(text: str | None) -> float | None:
    found = re.match(r"\d{1,6}(?:\.\d{1,6})?(?=\s|$)", text or "")
    return float(found[0]) if found else None


def _runtime_version(outcome: object) -> str | None:
    if not isinstance(outcome, Mapping) or outcome.get("rc") != 0:
        return None
    return _text(outcome.get("stdout"))
