"""What a report says of π: counts, and points drawn again: the real worker's on every Python that is here."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from files import pi_worker
from pi_speedup.model.report import Check
from pi_speedup.report.build import build_report
from pi_speedup.report.checks import CHECKS, run_checks
from pi_speedup.report.evidence import Contents, Evidence
from pi_speedup.report.workload.pi import count_is_impossible, merged_pi, seed_of, stretch_of, whole_of
from pi_speedup.workload.pi import STRETCH_GROUP_SAMPLES, STRETCH_GROUPS, Pi
from tests.unit.report import factory
from tests.unit.report.factory import Draft

WORKER = Path(__file__).parents[3] / "files/pi_worker.py"


def pythons() -> dict[str, str]:
    """Return version -> path of the Pythons from 3.9 on that are here, one of each minor version."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for minor in range(9, 15):
        name = f"3.{minor}"
        installed = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{name}.*/bin/python3"))
        path = str(installed[-1]) if installed else shutil.which(f"python{name}")
        if path is not None and name not in found:
            found[name] = path
    return found


@pytest.mark.parametrize("python", pythons().values(), ids=pythons())
@pytest.mark.parametrize("samples", [1, 3, 999, 1000, 20_001])
def test_the_real_workers_counts_are_drawn_again(python: str, samples: int) -> None:
    words = ["--run-id=r1", "--stream=r001-00-alone.1", f"--samples={samples}", "--node=pi-1"]
    done = subprocess.run(
        [python, str(WORKER), *words, "--processes=2"], capture_output=True, text=True, check=True
    )
    report = Pi().own(Pi().read(done.stdout, "the worker"), "the worker")
    for stream, process in zip(report.streams, report.processes, strict=True):
        seed = seed_of("r1", stream)
        assert process.stretch == stretch_of(seed, process.stretch_group)
        assert process.inside == whole_of(seed, samples)


def test_worker_and_report_agree_on_the_stretch() -> None:
    assert (STRETCH_GROUPS, STRETCH_GROUP_SAMPLES) == (
        pi_worker.STRETCH_GROUPS,
        pi_worker.STRETCH_GROUP_SAMPLES,
    )


def stretch(draft: Draft, number: int, of_round: int | None = None) -> tuple[int, ...]:
    """Return the counts of one pod's first points, or those that it had in another round."""
    slot = draft.slot if of_round is None else draft.slot.model_copy(update={"round": of_round})
    return stretch_of(seed_of(factory.RUN, f"{slot.name}.1.{number}.0"), STRETCH_GROUP_SAMPLES)


def one_more_or_less(draft: Draft, chance: random.Random) -> dict[str, Any]:
    counts = list(stretch(draft, 1))
    counts[chance.randrange(STRETCH_GROUPS)] += chance.choice([-1, 1])
    return {"stretch": tuple(counts)}


def a_shifted_seed(draft: Draft, chance: random.Random) -> dict[str, Any]:
    """The worker says the right seed, and drew from another."""
    seed = seed_of(factory.RUN, f"{draft.slot.name}.1.1.0") + chance.choice([-1, 1])
    return {"stretch": stretch_of(seed, STRETCH_GROUP_SAMPLES)}


def the_stream_of_another_pod(draft: Draft, chance: random.Random) -> dict[str, Any]:
    return {"stretch": stretch(draft, chance.choice([0, 2]))}


def the_stream_of_another_round(draft: Draft, chance: random.Random) -> dict[str, Any]:
    return {"stretch": stretch(draft, 1, draft.slot.round - 1)}


WRONG: dict[str, Callable[[Draft, random.Random], dict[str, Any]]] = {
    "a count changed by one": one_more_or_less,
    "a seed shifted": a_shifted_seed,
    "another pod's stream used twice": the_stream_of_another_pod,
    "another round's stream used twice": the_stream_of_another_round,
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_hundred_of_a_hundred_are_caught(wrong: Callable[[Draft, random.Random], dict[str, Any]]) -> None:
    plan = factory.plan(rounds=2, long_rounds=0)
    for seed in range(100):
        chance = random.Random(seed)

        def defect(draft: Draft) -> None:
            if draft.slot.round == 2 and not draft.base:
                draft.workers[1].process = wrong(draft, chance)  # noqa: B023

        found = replayed(Contents(plan, factory.trials(plan, seed=seed, defect=defect)))
        assert (found.status, found.effect, found.rounds) == ("flag", "invalid", (2,))
        assert "pi-2 in together-3 in round 2 counted " in found.found


def test_none_of_a_thousand_honest_workers_is_caught() -> None:
    for number in range(1000):
        seed = pi_worker.derive_rng_seed("r1", f"r001-00-together-1000.1.{number}.0")
        assert seed == seed_of("r1", f"r001-00-together-1000.1.{number}.0")
        random.seed(seed)
        counts = tuple(pi_worker.count_inside_seed(STRETCH_GROUP_SAMPLES) for _ in range(STRETCH_GROUPS))
        assert counts == stretch_of(seed, STRETCH_GROUP_SAMPLES)


@pytest.mark.parametrize("off", [0, 1], ids=["honest", "one too many"])
def test_one_whole_worker_is_drawn_again_where_asked(off: int) -> None:
    plan = factory.plan(rounds=2, long_rounds=0, samples_per_process=20_000, replay_whole=True)

    def counted(draft: Draft) -> None:
        for worker in draft.workers:
            seed = seed_of(factory.RUN, f"{draft.slot.name}.1.{worker.index or 0}.0")
            worker.process = {"inside": whole_of(seed, 20_000) + off}

    found = replayed(Contents(plan, factory.trials(plan, defect=counted)))
    assert found.status == ("flag" if off else "pass")
    assert ("here it is" if off else ", and all of pi-") in found.found


def replayed(contents: Contents) -> Check:
    """Return the check."""
    return next(check for check in run_checks(Evidence(contents)) if check.code == "replay")


def test_pi_from_counts() -> None:
    found = merged_pi(7_854_213 + 7_852_871, 20_000_000)
    assert found["estimate"] == pytest.approx(4 * 15_707_084 / 20_000_000)
    assert found["z_score"] == pytest.approx(
        (cast("float", found["estimate"]) - math.pi) / 0.000367, rel=1e-2
    )
    same = merged_pi(7_854_213, 10_000_000, independent=False)
    assert (same["standard_error"], same["z_score"]) == (None, None)
    with pytest.raises(ValueError, match="impossible"):
        merged_pi(11, 10)


def _off(standard_errors: float, samples: int) -> int:
    return round(samples * math.pi / 4 + standard_errors * math.sqrt(samples * 0.16855))


@pytest.mark.parametrize(
    ("inside", "samples", "impossible"),
    [
        (_off(0, 10**7), 10**7, False),
        (_off(3, 10**7), 10**7, False),
        (_off(-3, 10**7), 10**7, False),
        (_off(7, 10**7), 10**7, True),
        (_off(-7, 10**7), 10**7, True),
        (0, 30_000_000, True),
        (30_000_000, 30_000_000, True),
        (1, 1, False),
        (0, 1, False),
        (0, 20, True),
        (_off(0, 10**15), 10**15, False),
        (_off(7, 10**15), 10**15, True),
    ],
    ids=[
        "as expected",
        "a bit high",
        "a bit low",
        "too high",
        "too low",
        "none of many",
        "all of many",
        "one of one",
        "none of one",
        "none of twenty",
        "very many",
        "very many, too high",
    ],
)
def test_counts_are_tested_on_both_sides(inside: int, samples: int, impossible: bool) -> None:
    assert count_is_impossible(inside, samples, 1e-6) is impossible


def test_pi_has_no_error_where_two_processes_drew_the_same_points() -> None:
    def same_seed(draft: Draft) -> None:
        if draft.slot.round in (2, 4) and not draft.base:
            draft.workers[1].process = {"rng_seed": "ab12"}

    result = build_report(factory.contents(defect=same_seed)).result
    assert result is not None and (result["standard_error"], result["z_score"]) == (None, None)


def test_the_checks_of_pi_are_made_of_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = Evidence(factory.contents(factory.plan(rounds=2)))
    own = {entry.code for entry in CHECKS if entry.workload == "pi"}
    assert own == {
        *("counts", "streams", "replay", "python_differs", "duplicate_streams", "starved", "over_budget"),
    }
    assert own <= {check.code for check in run_checks(evidence)}
    monkeypatch.setattr(Pi, "name", "another")
    assert not own & {check.code for check in run_checks(evidence)}
