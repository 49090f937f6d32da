"""Is a Pi fit, and was it the same Pi all through? One line for each thing that is wrong."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from test_host_state import state

from pi_speedup.host_checks import host_problems, host_run_checks, host_warnings, throttled_words
from pi_speedup.host_state import Host, HostState

WELL = state()


def changed(**values: Any) -> HostState:
    return dataclasses.replace(WELL, **values)


def outcome(rc: int, stderr: str = "") -> dict[str, object]:
    return {"rc": rc, "stdout": "", "stderr": stderr}


def problems(found: HostState, runtime: dict[str, object] | None = None) -> tuple[str, ...]:
    docker = None if runtime is None else "docker"
    return host_problems(found, pi="pi-2", architecture="arm64", runtime=docker, runtime_outcome=runtime)


UNFIT: dict[str, tuple[dict[str, Any], dict[str, object] | None, str]] = {
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
        outcome(2, "[Errno 2] No such file or directory: 'docker'"),
        r"docker is not there.*Next: install it there, or set benchmark_baseline_runtime",
    ),
    "docker's daemon is down": (
        {},
        outcome(
            1,
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
            "Is the docker daemon running?",
        ),
        r"the docker daemon is down.*Next: ssh pi-2 sudo systemctl start docker",
    ),
    "no right to use docker": (
        {},
        outcome(
            1,
            "permission denied while trying to connect to the Docker daemon socket at "
            "unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied",
        ),
        r"permission denied on docker's socket\. Next: ssh pi-2 .*usermod -aG docker",
    ),
    "docker hangs": ({}, outcome(124, "no answer within 10 s"), r"docker does not answer\. Next: "),
    "docker says something else": ({}, outcome(1, "segfault"), r"docker can't be used \(segfault\)\. Next: "),
}


@pytest.mark.parametrize(("values", "runtime", "line"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_pi_is_one_line(
    values: dict[str, Any], runtime: dict[str, object] | None, line: str
) -> None:
    (found,) = problems(changed(**values), runtime)
    assert found.startswith("pi-2: ") and found.isprintable()
    assert re.search(line, found)


FIT: dict[str, tuple[dict[str, Any], dict[str, object] | None]] = {
    "well": ({}, None),
    "docker answers": ({}, outcome(0)),
    "memory cgroup unknown": ({"memory_cgroup": None}, None),
    "bits unknown": ({"userland_bits": None, "machine": None}, None),
    "a clock that is off by less than its uncertainty": (
        {"clock_offset_seconds": 65.0, "clock_uncertainty_seconds": 6.0},
        None,
    ),
    "hot": ({"throttled": 0xF, "temperature_celsius": 85.0}, None),
}


@pytest.mark.parametrize(("values", "runtime"), FIT.values(), ids=FIT)
def test_a_fit_pi(values: dict[str, Any], runtime: dict[str, object] | None) -> None:
    assert problems(changed(**values), runtime) == ()


def test_each_thing_that_is_wrong_has_its_line() -> None:
    assert len(problems(changed(memory_cgroup=False, userland_bits=32), outcome(1, "x"))) == 3


def test_32_bits_are_well_where_they_are_wanted() -> None:
    found = changed(machine="armv7l", userland_bits=32)
    assert host_problems(found, pi="pi-2", architecture="arm") == ()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"clock_offset_seconds": 3.0}, ["clock is 3.0 s"]),
        ({"clock_offset_seconds": 1.5}, []),
        ({"throttled": 0x50005}, ["under-voltage, throttled"]),
        ({"throttled": 0x50000}, []),
        ({"throttled": None}, []),
    ],
    ids=["clock off", "clock off by less than is certain", "throttled", "once throttled", "not known"],
)
def test_warnings(values: dict[str, Any], words: list[str]) -> None:
    found = host_warnings(changed(**values), pi="pi-2")
    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0, 0, ()),
        (0x50000, 0x50000, ()),
        (0, 0x50005, ("after the run under-voltage, throttled", "during the run under-voltage, throttled")),
        (0, 0x20000, ("during the run its frequency is capped",)),
        (0x80008, 0x80000, ("before the run at its soft temperature limit",)),
        (None, 0x4, ("after the run throttled",)),
        (None, 0x40000, ()),
        (None, None, ()),
    ],
    ids=[
        "never",
        "before, long ago",
        "now and newly",
        "newly, and over",
        "before only",
        "now, before unknown",
        "once, perhaps long ago",
        "unknown",
    ],
)
def test_throttling_in_words(before: int | None, after: int | None, words: tuple[str, ...]) -> None:
    assert throttled_words(changed(throttled=before), changed(throttled=after)) == words


def host(name: str = "pi-1", **after: Any) -> Host:
    return Host(name, WELL, changed(**after))


CHECKS: dict[str, tuple[list[Host], dict[str, str], str]] = {
    "all well": (
        [host(), host("pi-2")],
        {"throttled": "pass", "clock_offset": "pass", "governor_differs": "pass"},
        "ondemand",
    ),
    "not looked at": (
        [],
        {"throttled": "unknown", "clock_offset": "unknown", "governor_differs": "unknown"},
        "benchmark_host_checks",
    ),
    "throttled meanwhile": (
        [host(throttled=0x40000)],
        {"throttled": "flag"},
        "pi-1 during the run throttled",
    ),
    "one silent, one throttled": (
        [host(throttled=None), host("pi-2", throttled=4)],
        {"throttled": "flag"},
        "pi-2 after",
    ),
    "silent is not well": ([host(throttled=None)], {"throttled": "unknown"}, "pi-1: does not tell"),
    "gone after the run": (
        [Host("pi-1", WELL, None)],
        {"throttled": "unknown", "clock_offset": "pass"},
        "pi-1: does not tell",
    ),
    "clock set meanwhile": ([host(clock_offset_seconds=-4.0)], {"clock_offset": "flag"}, "pi-1 is 4.0 s"),
    "one never seen": ([host(), Host("pi-2", None, None)], {"clock_offset": "unknown"}, "pi-2: could not"),
    "governors differ": (
        [host(), Host("pi-2", changed(governors=("performance",)), None)],
        {"governor_differs": "flag"},
        "ondemand on pi-1; performance on pi-2",
    ),
    "governor not told": (
        [host(), Host("pi-2", changed(governors=()), None)],
        {"governor_differs": "unknown"},
        "pi-2: does not tell its governor",
    ),
}


@pytest.mark.parametrize(("hosts", "statuses", "words"), CHECKS.values(), ids=CHECKS)
def test_checks(hosts: list[Host], statuses: dict[str, str], words: str) -> None:
    checks = host_run_checks(hosts)
    assert [check.code for check in checks] == ["throttled", "clock_offset", "governor_differs"]
    assert {check.code: check.status for check in checks if check.code in statuses} == statuses
    assert any(words in check.text for check in checks)
    assert all(check.text.isprintable() for check in checks)
