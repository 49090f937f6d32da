"""Did it help? Answers, their intervals and margin, and what cannot be compared."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from typing import Any

import pytest
from scipy import stats

from pi_speedup.model.base import load
from pi_speedup.model.compared import Compared
from pi_speedup.model.report import Report
from pi_speedup.report.build import build_report
from pi_speedup.report.statistics import welch_difference
from pi_speedup.runs.compare import compare
from pi_speedup.runs.history import together_rates
from tests.unit.report import factory
from tests.unit.runs.simulated import Runs

OTHER_IMAGE = f"docker.io/library/python@sha256:{'5e' * 32}"
CONFIGURATION = f"sha256:{'6f' * 32}"


def report(
    run_id: str, *, pis: int = 3, faster: float = 1.0, nodes: Any = None, hosts: Any = (), **how: Any
) -> Report:
    """Return the report of a run whose Pis compute `faster` times as fast; `settings` are the plan's."""
    settings = how.pop("settings", {})
    plan = factory.plan(pis, **settings).model_copy(update={"run_id": run_id, "made_at": _moment(run_id)})
    old, factory.RATE = factory.RATE, factory.RATE * faster
    try:
        return build_report(factory.contents(plan, nodes=nodes, hosts=hosts, **how))
    finally:
        factory.RATE = old


def _moment(run_id: str) -> str:
    number = int("".join(letter for letter in run_id if letter.isdigit()) or 0)
    return f"2026-11-{1 + number // 24:02d}T{number % 24:02d}:00:00Z"


def ids(*image_ids: str) -> factory.Defect:
    def defect(draft: factory.Draft) -> None:
        for worker in draft.workers:
            worker.image_ids = image_ids

    return defect


def busy(draft: factory.Draft) -> None:
    """Give a thread more CPU time than it had."""
    draft.workers[0].cpu_share = 1.5


def limit(cores: float) -> factory.Defect:
    def defect(draft: factory.Draft) -> None:
        for worker in draft.workers:
            worker.limit = cores

    return defect


def every_report(**fields: Any) -> factory.Defect:
    def defect(draft: factory.Draft) -> None:
        for worker in draft.workers:
            worker.report.update(fields)

    return defect


ANSWERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a fifth faster": ({"faster": 1.2}, "faster", r"faster by (1\d|2\d)\.\d % \(1\d\.\d to 2\d\.\d\)"),
    "a fifth slower": ({"faster": 0.8}, "slower", r"slower by (19|20|21)\.\d % \(1\d\.\d to 2\d\.\d\)"),
    "the same": ({}, "equal", r"equal within the margin of 3 % \([-+]\d\.\d to [-+]\d\.\d %\)"),
    "a little faster, and noise": (
        {"faster": 1.03, "noise": 0.03},
        "no_evidence",
        r"no evidence of a change beyond 3 % \(",
    ),
    "too few rounds": (
        {"rounds": 4, "faster": 2.0},
        "no_evidence",
        "no evidence: b2 has 4 complete rounds, and a comparison needs 5",
    ),
    "no round": ({"rounds": 0}, "no_evidence", "no evidence: b2 has 0 complete rounds"),
}


@pytest.mark.parametrize(("how", "outcome", "words"), ANSWERS.values(), ids=ANSWERS)
def test_the_answer(how: dict[str, Any], outcome: str, words: str) -> None:
    found = compare(report("a1"), report("b2", **{"seed": 2, **how}))
    assert found.outcome == outcome

    assert re.match(words, found.words), found.words
    assert load(Compared, found.model_dump_json(), "x") == found


def test_the_change_is_that_of_the_samples_a_second_with_welchs_interval() -> None:
    a, b = report("a1"), report("b2", faster=1.1, seed=2, noise=0.03)
    found = compare(a, b).together
    assert found is not None and found.low is not None and found.high is not None
    expected = stats.ttest_ind(together_rates(b), together_rates(a), equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert found.low == pytest.approx(100 * math.expm1(low), rel=1e-9)
    assert found.high == pytest.approx(100 * math.expm1(high), rel=1e-9)
    seconds = [run.comparisons[0].all_pis.seconds.geometric_mean for run in (a, b)]
    assert found.percent == pytest.approx(100 * (seconds[0] / seconds[1] - 1), rel=1e-9)


def test_what_the_clocks_leave_open_widens_the_interval() -> None:
    plan = factory.plan()
    plain = compare(report("a1"), report("b2", seed=2)).together
    known = compare(report("a1", hosts=factory.hosts(plan)), report("b2", seed=2)).together
    assert plain is not None and known is not None
    assert plain.low is not None and known.low is not None and plain.high and known.high
    assert known.low < plain.low and known.high > plain.high


def test_both_ways_give_the_same_answer() -> None:
    a, b = report("a1"), report("b2", faster=1.2, seed=2)
    there, back = compare(a, b).together, compare(b, a).together
    assert there is not None and back is not None
    assert (1 + there.percent / 100) * (1 + back.percent / 100) == pytest.approx(1)
    assert compare(b, a).outcome == "slower"


NOT_COMPARABLE: dict[str, tuple[Any, str, str]] = {
    "samples": (
        lambda: report("b2", settings={"samples_per_process": 5_000_000}),
        "amount",
        "not comparable: samples of a process 10,000,000 and 5,000,000",
    ),
    "Pis": (lambda: report("b2", pis=4), "pis", "not comparable: number of Pis 3 and 4"),
    "processes": (
        lambda: report("b2", settings={"processes_per_pi": 2}),
        "processes",
        "processes of a Pi 1 and 2",
    ),
    "image": (
        lambda: report("b2", defect=ids(OTHER_IMAGE)),
        "image",
        "image python:3.9 (4d4d4d4d4d4d) and python:3.9 (5e5e5e5e5e5e)",
    ),
    "Python": (
        lambda: report("b2", defect=every_report(python_version="3.13.1")),
        "python",
        "Python CPython 3.9.25 and CPython 3.13.1",
    ),
    "CPU limit": (
        lambda: report("b2", defect=limit(0.5)),
        "limits",
        "cores of a pod 1.0 and 0.5",
    ),
    "memory limit": (
        lambda: report("b2", settings={"memory_limit_mib": 256}),
        "limits",
        "MiB of a process 128 and 256",
    ),
    "an invalid run": (
        lambda: report("b2", defect=busy),
        "verdict",
        "b2 is invalid: pi-1 in alone in round 1 counts 14.78 s of CPU in 9.85 s and 16 more",
    ),
}


@pytest.mark.parametrize(("make", "name", "words"), NOT_COMPARABLE.values(), ids=NOT_COMPARABLE)
def test_what_is_not_comparable(make: Any, name: str, words: str) -> None:
    a, b = report("a1"), make()
    found = compare(a, b)
    assert found.outcome == "not_comparable"
    assert words in found.words
    assert name in [each.name for each in found.unlike]
    every: Any = [each.name for each in found.unlike]
    in_spite = compare(a, b, despite=every)
    assert in_spite.outcome != "not_comparable"
    assert all(each.despite for each in in_spite.unlike)


SAME_IMAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "the same configuration, wrapped anew": ((factory.MANIFEST, CONFIGURATION), (OTHER_IMAGE, CONFIGURATION)),
    "nothing of the same kind told, the same name": ((factory.MANIFEST,), (CONFIGURATION,)),
    "nothing told": ((), ()),
}


@pytest.mark.parametrize(("of_a", "of_b"), SAME_IMAGES.values(), ids=SAME_IMAGES)
def test_the_same_image(of_a: tuple[str, ...], of_b: tuple[str, ...]) -> None:
    found = compare(report("a1", defect=ids(*of_a)), report("b2", seed=2, defect=ids(*of_b)))
    assert found.unlike == ()


def test_what_a_change_may_come_from_is_listed() -> None:
    plan = factory.plan()
    before = report("a1", hosts=factory.hosts(plan))
    after = report(
        "b2",
        seed=2,
        nodes=factory.all_nodes(plan, kernel_version="6.13.0"),
        hosts=factory.hosts(plan, both={"governors": ("performance",)}),
    )
    assert compare(before, after).also_differs == (
        "kernel: 6.12.47+rpt-rpi-v8, then 6.13.0",
        "governor: ondemand, then ondemand, performance",
    )


def sessions(count: int, deviation: float, steps: dict[int, float] | None = None) -> list[Report]:
    """Return so many equal runs that each are faster or slower as a whole; from `steps` on all are faster."""
    chance = random.Random(3)
    found, level = [], 1.0
    for number in range(count):
        level *= (steps or {}).get(number, 1.0)
        speed = level * math.exp(deviation * chance.gauss(0, 1))
        found.append(report(f"h{number}", faster=speed, seed=100 + number, noise=0.005))
    return found


def test_the_scatter_of_equal_runs_is_in_the_interval() -> None:
    history = sessions(12, 0.03)
    alone, known = (compare(history[0], history[1], history=runs) for runs in ((), history))
    assert alone.sessions.sd_percent is None and known.sessions.runs == 12
    assert known.sessions.sd_percent is not None and 1.5 < known.sessions.sd_percent < 6
    assert alone.together and alone.together.high and alone.together.low
    assert known.together and known.together.high and known.together.low
    wider = (known.together.high - known.together.low) / (alone.together.high - alone.together.low)
    assert wider > 3
    # The margin is no place to hide a change in.
    assert (alone.margin.percent, known.margin.percent) == (3, 2)


def test_an_unrecorded_change_does_not_become_scatter() -> None:
    history = sessions(8, 0.002, steps={6: 1.2})
    found = compare(history[5], history[6], history=history)
    assert found.sessions.sd_percent is not None and found.sessions.sd_percent < 1
    assert found.outcome == "faster"


def test_four_equal_runs_are_too_few() -> None:
    history = sessions(4, 0.05)
    found = compare(history[0], history[1], history=history)
    assert (found.sessions.runs, found.sessions.sd_percent) == (4, None)


@pytest.mark.parametrize(
    "strange",
    [
        lambda each: each.model_copy(update={"pis": ("pi-1", "pi-2", "pi-9")}),
        lambda each: each.model_copy(update={"amount_per_process": 1}),
        lambda each: each.model_copy(update={"worker_sha256": "0" * 64}),
    ],
    ids=["other Pis", "other samples", "another worker"],
)
def test_unequal_runs_tell_nothing_of_the_scatter(strange: Any) -> None:
    history = sessions(8, 0.05)
    others = [*history[:2], *map(strange, history[2:])]
    assert compare(history[0], history[1], history=others).sessions.runs == 2


def test_a_given_margin_wins() -> None:
    found = compare(report("a1"), report("b2", faster=1.2, seed=2), margin_percent=50)
    assert (found.outcome, found.margin.given) == ("equal", True)


def outcomes(runs: Runs, times: int = 100) -> Counter[str]:
    return Counter(runs.answer(seed)[0] for seed in range(times))


def test_a_fan_that_was_written_down_is_found() -> None:
    assert outcomes(Runs(12, 0.01, 0.1, labelled=True))["faster"] >= 95


def test_a_fan_that_nobody_wrote_down_is_never_no_difference() -> None:
    assert outcomes(Runs(12, 0.002, 0.1))["no_evidence"] == 100


@pytest.mark.parametrize("count", [6, 12])
def test_known_sessions_give_no_false_alarm(count: int) -> None:
    found = outcomes(Runs(count, 0.01))
    assert found["faster"] + found["slower"] <= 2


def test_two_sessions_give_few_false_alarms() -> None:
    found = outcomes(Runs(2, 0.01), 300)
    # 2 of 100, and twice the error of so many runs.
    assert found["faster"] + found["slower"] <= 11


def test_an_interval_that_knows_the_sessions_holds_the_truth() -> None:
    assert sum(Runs(8, 0.02).answer(seed)[1] for seed in range(200)) >= 184


def test_a_label_is_named_where_it_differs() -> None:
    fans = [report(name, settings={"label": label}) for name, label in (("a1", "fan off"), ("b2", "fan on"))]
    assert compare(*fans).also_differs == ("benchmark_label: fan off, then fan on",)
    assert compare(report("a1"), fans[1]).also_differs == ("benchmark_label: none, then fan on",)


@pytest.mark.parametrize("session", [0.0, 0.01], ids=["no session noise", "1 % between sessions"])
def test_false_alarms_are_rare(session: float) -> None:
    """Of 1,000 pairs of equal runs with five rounds: measuring gives 0.1 and 1.5 % alarms."""
    chance = random.Random(11)
    alarms = 0
    for _ in range(1000):
        sides = []
        for _ in range(2):
            level = session * chance.gauss(0, 1)
            sides.append([level + 0.02 * chance.gauss(0, 1) for _ in range(5)])
        low, high = welch_difference(*sides).bounds(0.95)
        alarms += low > math.log(1.02) or high < -math.log(1.02)
    assert alarms <= 30


def test_hostile_words_of_a_posted_report_are_inert() -> None:
    hostile = "x\n<b>\x1b[31m\u202e| y"
    text = json.loads(report("b2", seed=2).text())
    text["settings"] |= {"engine": hostile, "rest_seconds": hostile}
    text["pods"]["pythons"] = [hostile]
    text["caveat"] = hostile
    text["tool"]["version"] = hostile
    posted = load(Report, json.dumps(text), "report.json")
    found = compare(report("a1"), posted)
    for words in (found.words, found.b.caveat or "", *found.also_differs):
        assert words.isprintable(), words
