"""Points drawn again: the real worker's counts on every Python that is here, and counts that are wrong."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from files import pi_worker
from pi_speedup.model.report import Check
from pi_speedup.model.worker import STRETCH_GROUP_SAMPLES, STRETCH_GROUPS, parse_worker_output
from pi_speedup.report.checks import run_checks
from pi_speedup.report.evidence import Contents, Evidence
from pi_speedup.report.replay import seed_of, stretch_of, whole_of
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
    report = parse_worker_output(done.stdout, "the worker")
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
