"""What a Pi says of itself, parsed: real outputs, and outputs that say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pi_speedup.model.host import Host, HostLook, HostState
from pi_speedup.pi.state import ClockReading, clock_offset_seconds, host_state, parse_throttled
from pi_speedup.problem import ProblemError
from pi_speedup.store import RunStore

SECOND = 10**9
NOW = 1_790_000_000 * SECOND

# As a Raspberry Pi 4 with Raspberry Pi OS 12 tells it.
PI_4: dict[str, Any] = {
    "first_epoch_ns": NOW,
    "last_epoch_ns": NOW + SECOND // 10,
    "device_tree_model": "Raspberry Pi 4 Model B Rev 1.4",
    "os_release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n',
    "kernel": "6.6.51+rpt-rpi-v8",
    "machine": "aarch64",
    "userland_bits": 64,
    "cores": 4,
    "meminfo": "MemTotal:        3880840 kB\nMemFree:          123456 kB\n",
    "cgroup_controllers": "cpuset cpu io memory pids\n",
    "cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t71\t1\nmemory\t0\t71\t1\n",
    "vcgencmd_throttled": "throttled=0x0\n",
    "sysfs_throttled": "0\n",
    "vcgencmd_temperature": "temp=48.3'C\n",
    "thermal_zones": [["cpu-thermal\n", "48312\n"]],
    "governors": ["ondemand"],
    "loadavg": "0.08 0.03 0.01 1/223 4711\n",
    "runtime": {"rc": 0, "stdout": "27.3.1\n", "stderr": ""},
}


def state(**changes: Any) -> HostState:
    return host_state("pi-1", {**PI_4, **changes}, asked_ns=NOW - SECOND, answered_ns=NOW + SECOND)


def test_a_pi_4() -> None:
    assert state() == HostState(
        model="Raspberry Pi 4 Model B Rev 1.4",
        os_name="Debian GNU/Linux 12 (bookworm)",
        kernel="6.6.51+rpt-rpi-v8",
        machine="aarch64",
        userland_bits=64,
        cores=4,
        memory_bytes=3880840 * 1024,
        memory_cgroup=True,
        temperature_celsius=48.3,
        throttled=0,
        governors=("ondemand",),
        load_1_minute=0.08,
        clock_offset_seconds=0.05,
        clock_uncertainty_seconds=0.95,
        clock_read_epoch_ns=NOW,
        runtime_version="27.3.1",
    )


def test_a_pi_that_tells_nothing_but_the_time() -> None:
    silent = {name: None for name in PI_4} | {"first_epoch_ns": NOW, "last_epoch_ns": NOW}
    found = host_state("pi-1", silent, asked_ns=NOW, answered_ns=NOW)
    told = {
        "governors": (),
        "clock_offset_seconds": 0.0,
        "clock_uncertainty_seconds": 0.0,
        "clock_read_epoch_ns": NOW,
    }
    assert {name: value for name, value in found if value is not None} == told


def test_a_clock_may_stand_before_1970() -> None:
    before = -3_600_000_000_000
    found = state(first_epoch_ns=before, last_epoch_ns=before)
    assert found.clock_offset_seconds < -1e9


def test_no_time_of_day_is_no_observation() -> None:
    with pytest.raises(ProblemError, match="pi-1: it did not tell its time of day"):
        state(first_epoch_ns=None)


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("throttled=0x0\n", 0),
        ("throttled=0x50005\n", 0x50005),
        ("throttled=0x80000\n", 0x80000),
        ("50005\n", 0x50005),
        ("0\n", 0),
        ("VCHI initialization failed\n", None),
        ('error=1 error_msg="Command not registered"\n', None),
        ("", None),
        (None, None),
    ],
    ids=[
        "well",
        "under-voltage",
        "was warm",
        "the kernel's file",
        "the kernel's file, well",
        "no right to ask",
        "another firmware",
        "empty",
        "no command",
    ],
)
def test_throttled(text: str | None, bits: int | None) -> None:
    assert parse_throttled(text) == bits


FIELDS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "throttled: the kernel's file where there is no vcgencmd": (
        {"vcgencmd_throttled": None, "sysfs_throttled": "50000\n"},
        "throttled",
        0x50000,
    ),
    "temperature: the kernel's zone where there is no vcgencmd": (
        {"vcgencmd_temperature": None},
        "temperature_celsius",
        48.312,
    ),
    "temperature: the processor's zone of several": (
        {"vcgencmd_temperature": None, "thermal_zones": [["nvme", "30000"], ["cpu-thermal", "51000"]]},
        "temperature_celsius",
        51.0,
    ),
    "temperature: a zone that cannot be read": (
        {"vcgencmd_temperature": None, "thermal_zones": [["cpu-thermal", None]]},
        "temperature_celsius",
        None,
    ),
    "temperature: below zero": ({"vcgencmd_temperature": "temp=-4.0'C\n"}, "temperature_celsius", -4.0),
    "memory cgroup: v2 without it, as Raspberry Pi OS comes": (
        {"cgroup_controllers": "cpuset cpu io pids\n"},
        "memory_cgroup",
        False,
    ),
    "memory cgroup: v1 with it": ({"cgroup_controllers": None}, "memory_cgroup", True),
    "memory cgroup: v1, switched off": (
        {"cgroup_controllers": None, "cgroups": "#subsys_name\thierarchy\nmemory\t0\t71\t0\n"},
        "memory_cgroup",
        False,
    ),
    "memory cgroup: v1, not built in": (
        {"cgroup_controllers": None, "cgroups": "#subsys_name\thierarchy\ncpu\t0\t71\t1\n"},
        "memory_cgroup",
        False,
    ),
    "memory cgroup: neither": ({"cgroup_controllers": None, "cgroups": None}, "memory_cgroup", None),
    "model: the device tree's zero byte": (
        {"device_tree_model": "Raspberry Pi 5\0"},
        "model",
        "Raspberry Pi 5",
    ),
    "model: none": ({"device_tree_model": ""}, "model", None),
    "governors of cores that differ": (
        {"governors": ["performance", "ondemand", "performance"]},
        "governors",
        ("ondemand", "performance"),
    ),
    "runtime: podman tells more than its version": (
        {"runtime": {"rc": 0, "stdout": '{"host": {}, "version": {"Version": "4.3.1"}}'}},
        "runtime_version",
        "4.3.1",
    ),
    "runtime: not usable has no version": ({"runtime": {"rc": 1, "stdout": "27\n"}}, "runtime_version", None),
    "temperature: a sensor that has none": (
        {"vcgencmd_temperature": "temp=-274.0'C\n"},
        "temperature_celsius",
        None,
    ),
    "cores: none told": ({"cores": None}, "cores", None),
    "cores: an impossible number": ({"cores": 0}, "cores", None),
    "bits: not a number of bits": ({"userland_bits": 7}, "userland_bits", None),
}


@pytest.mark.parametrize(("changes", "name", "value"), FIELDS.values(), ids=FIELDS)
def test_a_field(changes: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(state(**changes), name) == value


# Asked, first, last, answered, in seconds; then offset and uncertainty.
CLOCKS: dict[str, tuple[list[tuple[float, float, float, float]], float, float]] = {
    "equal clocks, no way": ([(0, 0, 0, 0)], 0, 0),
    "equal clocks, equal ways": ([(0, 1, 3, 4)], 0, 1),
    "equal clocks, all on the way there": ([(0, 2, 2, 2)], 1, 1),
    "five seconds ahead": ([(0, 6, 8, 4)], 5, 1),
    "an hour behind": ([(3600, 1, 1, 3602)], -3600, 1),
    "the second reading is sharper": ([(0, 2, 2, 4), (4, 4.1, 4.1, 4.2)], 0, 0.1),
    "each bounds another side": ([(0, 0, 0, 4), (4, 8, 8, 8)], 0, 0),
    "set meanwhile: the sharper stands alone": ([(0, 2, 2, 4), (4, 104.1, 104.1, 4.2)], 100, 0.1),
}


@pytest.mark.parametrize(("readings", "offset", "uncertainty"), CLOCKS.values(), ids=CLOCKS)
def test_clock(readings: list[tuple[float, float, float, float]], offset: float, uncertainty: float) -> None:
    times = [ClockReading(*(round(second * SECOND) for second in reading)) for reading in readings]
    assert list(clock_offset_seconds(times)) == pytest.approx([offset, uncertainty])


@pytest.mark.parametrize(
    ("printed", "uncertainty"),
    [(f"{NOW + SECOND}\n", 0.1), ("1790000001\n", 0.95), ("1790000001%N\n", 0.95), ("", 0.95)],
    ids=["nanoseconds", "seconds only", "busybox", "nothing"],
)
def test_date_sharpens_the_clock(printed: str, uncertainty: float) -> None:
    tenth = SECOND // 10
    asked, answered = NOW + SECOND - tenth, NOW + SECOND + tenth
    found = host_state(
        "pi-1", PI_4, asked_ns=NOW - SECOND, answered_ns=NOW + SECOND, date=(asked, printed, answered)
    )
    assert found.clock_uncertainty_seconds == pytest.approx(uncertainty)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    before, after = state(), state(vcgencmd_throttled=None, governors=[], loadavg=None)
    store = RunStore(tmp_path / "run")
    store.write(
        {
            "hosts/pi-1.before.json": HostLook(pi="pi-1", when="before", state=before),
            "hosts/pi-1.after.json": HostLook(pi="pi-1", when="after", state=after),
        }
    )
    assert store.hosts(["pi-1", "pi-2"]) == (
        Host(name="pi-1", before=before, after=after),
        Host(name="pi-2", before=None, after=None),
    )
