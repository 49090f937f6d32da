"""What comes from a Pi: a worker's output, a script's sections, and what it says of itself over SSH."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pi_speedup.model.host import HostLook
from pi_speedup.model.settings import Settings
from pi_speedup.model.trial import Trial
from pi_speedup.model.worker import END_MARK, WorkerReport, parse_worker_json, parse_worker_output
from pi_speedup.pi.base import BaseDriver, clean, prepare
from pi_speedup.pi.fitness import problems, warnings
from pi_speedup.pi.shell import Outcome, ShellOutcome
from pi_speedup.pi.ssh import connection_error, module_problem, other_problem, sudo_problem
from pi_speedup.pi.state import host_state
from pi_speedup.remote import Remote
from tests.unit.hostile.made_up import (
    ANYTHING,
    LINES,
    ODD_TEXTS,
    as_json,
    changed,
    examples,
    is_line,
    sound,
    spoiled,
)
from tests.unit.kube.objects import a_report
from tests.unit.report import factory

OWNER = "0a7f2c54-1111-4b1e-9d59-2f5c9ad8ab61"

PI = "pi-1"
REPORT = json.loads(a_report(0))
NOW = 1_795_504_530_000_000_000
OBSERVED = {
    "first_epoch_ns": NOW,
    "last_epoch_ns": NOW + 1000,
    "device_tree_model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "os_release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
    "kernel": "6.12.47+rpt-rpi-v8",
    "machine": "aarch64",
    "userland_bits": 64,
    "cores": 4,
    "meminfo": "MemTotal:        3884092 kB\n",
    "cgroup_controllers": "cpuset cpu io memory pids\n",
    "cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\n",
    "vcgencmd_temperature": "temp=48.3'C\n",
    "thermal_zones": [["cpu-thermal", "48300\n"], ["other", "-274000"]],
    "vcgencmd_throttled": "throttled=0x50005\n",
    "sysfs_throttled": "50005\n",
    "governors": ["ondemand", "performance"],
    "loadavg": "0.40 0.30 0.20 1/200 1234\n",
    "runtime": {"rc": 0, "stdout": "28.5.1"},
}
INSPECTED = {
    "Id": f"sha256:{'4d' * 32}",
    "RepoDigests": [f"python@sha256:{'4d' * 32}"],
    "Descriptor": {"digest": f"sha256:{'4d' * 32}"},
}


def marked(report: bytes) -> bytes:
    """Return a worker's output, with the right checksum whatever it is of."""
    line = report.replace(b"\n", b" ")
    digest = hashlib.sha256(line.decode("utf-8", "replace").encode()).hexdigest()
    return b"a warning\n" + line + f"\n{END_MARK} sha256={digest}\n".encode()


REPORTS = st.one_of(changed(REPORT), ANYTHING).map(as_json)


@examples(50)
@given(output=st.one_of(REPORTS.map(marked), spoiled(REPORTS.map(marked)), LINES))
def test_any_output_of_a_worker(output: bytes) -> None:
    report = sound(lambda: parse_worker_output(output, PI), [PI])
    if report is not None:
        assert WorkerReport.model_validate_json(report.text()) == report
        assert 0 < report.seconds < 1e10 and report.cpu_seconds >= 0


@examples(10)
@given(message=spoiled(REPORTS))
def test_any_termination_message(message: bytes) -> None:
    sound(lambda: parse_worker_json(message.decode("utf-8", "replace"), "pod 0"), ["pod 0"])


class SaysThis:
    """A Pi on which each script has this outcome, whatever it was."""

    def __init__(self, outcomes: Sequence[ShellOutcome]) -> None:
        self._outcomes = list(outcomes)

    def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
        return self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]


@st.composite
def answers(draw: st.DrawFn) -> list[ShellOutcome]:
    """Return what a Pi's shell may answer: sections and times, in any order, some of them forged or gone."""
    numbers = st.one_of(
        st.sampled_from([b"0", b"1", b"124", b"127", b"137", b"9" * 400, b"9" * 5000, b"-1", b"nan", b""])
    )
    dates = st.sampled_from([b"1795504530000000000", b"1795504531000000000", b"1795504530N", b"9" * 19, b""])
    ups = st.sampled_from([b"1000.00", b"1001.00", b"9" * 400 + b".0", b"99999999.99", b"0.0", b"x"])
    names = st.sampled_from(
        [b"ended", b"listed", b"removed", b"image", b"pull", b"python", b"end", b"output", b"times"]
    )
    said = st.one_of(
        LINES,
        spoiled(changed(INSPECTED).map(lambda found: as_json([found]))),
        REPORTS.map(marked),
        st.sampled_from(
            [b"docker: permission denied while trying to connect", b"Error: no such image", b"4d" * 6 + b" x"]
        ),
        st.tuples(ups, dates, ups, dates, numbers).map(
            lambda t: b"begun %s %s\nended %s %s %s" % (t[0], t[1], t[2], t[3], t[4])
        ),
    )
    whole = [b"ended", b"listed", b"owned", b"image", b"python", b"pull", b"output", b"times"]
    found = []
    for _ in range(draw(st.integers(1, 2))):
        order = draw(st.one_of(st.just(whole), st.lists(names, max_size=7)))
        output = b"".join(
            b"\npi-speedup: %s %s\n%s" % (name, draw(st.one_of(st.just(b"0"), numbers)), draw(said))
            for name in order
        )
        output += draw(st.sampled_from([b"\npi-speedup: end 0\n", b""]))
        found.append(ShellOutcome(draw(st.sampled_from([0, 1, 255])), output, draw(st.binary(max_size=40))))
    return found


@examples(40)
@given(outcomes=answers(), runtime=st.sampled_from(["docker", "podman", "process"]))
def test_any_answer_of_a_shell(outcomes: list[ShellOutcome], runtime: Any) -> None:
    settings = Settings(base_runtime=runtime)
    told: list[str] = []
    prepared = sound(lambda: prepare(SaysThis(outcomes), PI, settings, [OWNER], told.append), [PI])
    sound(lambda: clean(SaysThis(outcomes), PI, settings, [OWNER]), [PI])
    plan = factory.plan(rounds=1, base_runtime=runtime)
    ids = prepared.image_ids if prepared else ()
    driver = BaseDriver(SaysThis(outcomes), PI, plan, "print()", ids, OWNER, told.append)
    measured = driver.run(plan.slots[0], 1)
    # What is written can be read again.
    assert Trial.model_validate_json(measured.trial.text()) == measured.trial
    if measured.trial.problem:
        is_line(measured.trial.problem, [PI])


@examples(30)
@given(
    observed=changed(OBSERVED),
    date=st.none()
    | st.tuples(st.just(NOW), ODD_TEXTS | st.sampled_from(["9" * 20, f"{NOW}\n"]), st.just(NOW + 9)),
    said=ODD_TEXTS | ANYTHING.map(str),
)
def test_anything_that_a_pi_says_of_itself(observed: Any, date: Any, said: str) -> None:
    observed = observed if isinstance(observed, dict) else {}
    state = sound(lambda: host_state(PI, observed, asked_ns=NOW - 9, answered_ns=NOW + 9, date=date), [PI])
    if state is not None:
        look = HostLook(pi=PI, when="before", state=state)
        assert HostLook.model_validate_json(look.text()) == look
        asked = Outcome(1, said)
        for problem in (
            *problems(state, pi=PI, architecture="arm64", runtime="docker", runtime_outcome=asked),
            *warnings(state, pi=PI),
        ):
            is_line(problem, [PI])
    remote = Remote(PI, "192.168.1.101", "pi", 22)
    is_line(connection_error(remote, said).problem, [PI])
    for told in (sudo_problem(remote, said), other_problem(remote, said), module_problem(remote, said)):
        if told is not None:
            is_line(told, [PI])
