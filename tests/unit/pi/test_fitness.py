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
        r"clock is at 197\d-\d\d-\d\d: it was not set since the Pi started .*Next: ssh pi-2 "
        r"timedatectl.*chrony",
    ),
    "a clock before 1970": (
        {"clock_offset_seconds": -1.9e9},
        None,
        r"clock is at 196\d-\d\d-\d\d: it was not set since the Pi started .*Next: ssh pi-2 timedatectl",
    ),
    "a clock that is weeks behind": (
        {"clock_offset_seconds": -30 * 86400.0},
        None,
        r"clock is at 20\d\d-\d\d-\d\d \[PS-223\]\. Next: ",
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
        r"permission denied on docker's socket \[PS-602\]\. Next: ssh pi-2 'sudo groupadd -f docker && "
        r".*usermod -aG docker .*snap",
    ),
    "rootless docker is down": (
        {},
        Outcome(
            1, "Cannot connect to the Docker daemon at unix:///run/user/1000/docker.sock. Is it running?"
        ),
        r"rootless docker daemon of this user is down.*Next: ssh pi-2 systemctl --user start docker",
    ),
    "docker as a snap, not found": (
        {},
        Outcome(2, "[Errno 2] No such file or directory: 'docker'"),
        r"a snap's: ssh pi-2 sudo ln -s /snap/bin/docker /usr/local/bin",
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


@pytest.mark.fault(
    "kernel without the memory cgroup",
    "pi-2: its kernel does not limit memory (no memory cgroup), so K3s cannot run there "
    "[PS-221]. Next: on pi-2 add `cgroup_memory=1 cgroup_enable=memory` to the end of the"
    " one line of /boot/firmware/cmdline.txt (/boot/cmdline.txt on older systems), then "
    "reboot",
    kept="nothing begun",
    row="no memory cgroup",
)
@pytest.mark.fault(
    "docker missing",
    "pi-2: docker is not there ([Errno 2] No such file or directory: 'docker') [PS-601]. "
    "Next: install it there, or set benchmark_base_runtime to what is",
    kept="nothing begun",
    row="no docker",
)
@pytest.mark.fault(
    "docker's daemon down",
    "pi-2: the docker daemon is down (Cannot connect to the Docker daemon at "
    "unix:///var/run/docker.sock. Is the docker daemon running?) [PS-603]. Next: ssh pi-2"
    " sudo systemctl start docker",
    kept="nothing begun",
    row="docker's daemon is down",
)
@pytest.mark.fault(
    "docker hangs",
    "pi-2: docker does not answer [PS-604]. Next: ssh pi-2 docker info, and restart the Pi if that hangs too",
    kept="nothing begun",
    row="docker hangs",
)
@pytest.mark.fault(
    "clock that was never set",
    "pi-2: its clock is at 1972-04-18: it was not set since the Pi started [PS-223]. Next: ssh pi-2 "
    "timedatectl, and see that NTP is on there (… or chronyc makestep) and here",
    kept="nothing begun",
    row="a clock that was never set",
)
@pytest.mark.fault(
    "Docker without root is down",
    "pi-2: the rootless docker daemon of this user is down (…) [PS-603]. Next: ssh pi-2 systemctl --user "
    "start "
    "docker; loginctl enable-linger there keeps it up without a login",
    kept="nothing begun",
    row="rootless docker is down",
)
@pytest.mark.fault(
    "Docker as a snap, not on the PATH of a login",
    "pi-2: docker is not there (… No such file or directory: 'docker') [PS-601]. Next: install it "
    "there, or set "
    "benchmark_base_runtime to what is; a snap's: ssh pi-2 sudo ln -s /snap/bin/docker /usr/local/bin",
    kept="nothing begun",
    row="docker as a snap, not found",
)
@pytest.mark.fault(
    "Docker as a snap, without the group docker",
    "pi-2: permission denied on docker's socket [PS-602]. Next: ssh pi-2 'sudo groupadd -f docker && "
    "sudo usermod "
    "-aG docker $USER' (where it is a snap, then sudo snap restart docker); wait a minute and run again: …",
    kept="nothing begun",
    row="no right to use docker",
)
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


@pytest.mark.fault(
    "clock 3 s ahead",
    "pi-2: its clock is 3.0 s (+/- 0.9 s) ahead of the control host's [PS-223]. Next: ssh"
    " pi-2 timedatectl, and timedatectl here: NTP should be on at both",
    kept="all; the verdict says so",
    exit_code=0,
    row="clock off",
)
@pytest.mark.fault(
    "Pi throttled",
    "pi-2: under-voltage, throttled [PS-224]. Next: a stronger power supply, or more cooling",
    kept="all; the verdict says so",
    exit_code=0,
    row="throttled",
)
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"clock_offset_seconds": 3.0},
            [
                "pi-2: its clock is 3.0 s (+/- 0.9 s) ahead of the control host's [PS-223]. Next: ssh pi-2 "
                "timedatectl, and timedatectl here: NTP should be on at both"
            ],
        ),
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
