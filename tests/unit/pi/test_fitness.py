"""Is a Pi fit for a run? One line for each thing that is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pi_speedup.model.host import HostState
from pi_speedup.pi import fitness
from pi_speedup.pi.shell import Outcome
from tests.unit.pi.test_state import state

WELL = state()


def changed(**values: Any) -> HostState:
    return WELL.model_copy(update=values)


def problems(found: HostState, asked: Outcome | None = None) -> list[str]:
    runtime = None if asked is None else "docker"
    lacks = fitness.problems(found, pi="pi-2", architecture="arm64", runtime=runtime, runtime_outcome=asked)
    return [str(problem) for problem in lacks]


UNFIT: dict[str, tuple[dict[str, Any], Outcome | None, str]] = {
    "no memory cgroup": (
        {"memory_cgroup": False},
        None,
        r"no memory cgroup.*Next: on pi-2 add `cgroup_memory=1 cgroup_enable=memory`.*cmdline\.txt.*reboot",
    ),
    "32-bit kernel": ({"machine": "armv7l", "userland_bits": 32}, None, r"32-bit system .*armv7l.*Next: "),
    "32-bit userland": ({"userland_bits": 32}, None, r"32-bit userland on a 64-bit kernel.*Next: "),
    "a clock that was never set": (
        {"clock_offset_seconds": -1.7e9},
        None,
        r"clock is 1700000000\.0 s .* behind .*Next: ssh pi-2 timedatectl.*chrony",
    ),
    "a clock of the future": ({"clock_offset_seconds": 75.0}, None, r"75\.0 s .*ahead of.*Next: "),
    "no docker": (
        {},
        Outcome(2, "[Errno 2] No such file or directory: 'docker'"),
        r"docker is not there.*Next: install it there, or set benchmark_base_runtime",
    ),
    "docker's daemon is down": (
        {},
        Outcome(
            1,
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
            "Is the docker daemon running?",
        ),
        r"the docker daemon is down.*Next: ssh pi-2 sudo systemctl start docker",
    ),
    "no right to use docker": (
        {},
        Outcome(
            1,
            "permission denied while trying to connect to the Docker daemon socket at "
            "unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied",
        ),
        r"permission denied on docker's socket \[PS-602\]\. Next: ssh pi-2 .*usermod -aG docker",
    ),
    "docker hangs": (
        {},
        Outcome(124, "no answer within 10 s"),
        r"docker does not answer \[PS-604\]\. Next: ",
    ),
    "docker says something else": (
        {},
        Outcome(1, "segfault"),
        r"docker can't be used \(segfault\) \[PS-605\]\. Next: ",
    ),
}


@pytest.mark.parametrize(("values", "runtime", "line"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_pi_is_one_line(values: dict[str, Any], runtime: Outcome | None, line: str) -> None:
    (found,) = problems(changed(**values), runtime)
    assert found.startswith("pi-2: ") and found.isprintable()
    assert re.search(line, found)


FIT: dict[str, tuple[dict[str, Any], Outcome | None]] = {
    "well": ({}, None),
    "docker answers": ({}, Outcome(0, "27.3.1")),
    "memory cgroup unknown": ({"memory_cgroup": None}, None),
    "bits unknown": ({"userland_bits": None, "machine": None}, None),
    "a clock that is off by less than its uncertainty": (
        {"clock_offset_seconds": 65.0, "clock_uncertainty_seconds": 6.0},
        None,
    ),
    "hot": ({"throttled": 0xF, "temperature_celsius": 85.0}, None),
}


@pytest.mark.parametrize(("values", "runtime"), FIT.values(), ids=FIT)
def test_a_fit_pi(values: dict[str, Any], runtime: Outcome | None) -> None:
    assert problems(changed(**values), runtime) == []


def test_each_thing_that_is_wrong_has_its_line() -> None:
    assert len(problems(changed(memory_cgroup=False, userland_bits=32), Outcome(1, "x"))) == 3


def test_32_bits_are_well_where_they_are_wanted() -> None:
    found = changed(machine="armv7l", userland_bits=32)
    assert fitness.problems(found, pi="pi-2", architecture="arm") == ()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"clock_offset_seconds": 3.0}, ["clock is 3.0 s"]),
        ({"clock_offset_seconds": 1.5}, []),
        ({"clock_offset_seconds": 75.0}, []),
        ({"throttled": 0x50005}, ["under-voltage, throttled"]),
        ({"throttled": 0x50000}, []),
        ({"throttled": None}, []),
    ],
    ids=[
        "clock off",
        "clock off by less than is certain",
        "clock so far off that it is refused",
        "throttled",
        "once throttled",
        "not known",
    ],
)
def test_warnings(values: dict[str, Any], words: list[str]) -> None:
    found = [str(problem) for problem in fitness.warnings(changed(**values), pi="pi-2")]
    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True))
