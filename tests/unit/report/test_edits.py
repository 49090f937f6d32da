"""One edit in the folder of a sound run that would mislead: refused, or no longer sound without a word.

First honest mishaps, then forgeries by somebody who knows the format, and writes all hashes anew. What a
folder cannot show is in FORGED_UNSEEN, and in docs/report.md.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.model.base import load
from pi_speedup.model.trial import Trial
from pi_speedup.problem import ProblemError
from pi_speedup.report.build import build_report
from pi_speedup.report.evidence import read_contents
from tests.unit.report import factory

PROJECT = Path(__file__).resolve().parents[3]
Edit = Callable[[Path], object]
# What a verdict says: this, without "as far as seen".
SOUND = "Sound: no check gives a reason to doubt the figures."


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every check looked, and none was blind."""
    plan = factory.plan(rounds=9, long_rounds=9)
    contents = factory.contents(plan, noise=0.001, jitter=0.01, hosts=factory.hosts(plan))
    return factory.write(tmp_path_factory.mktemp("edits") / "sound", contents)


@pytest.fixture
def run(sound: Path, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "run"
    shutil.copytree(sound, folder)
    assert verdict(folder).startswith(SOUND)
    yield folder


def verdict(folder: Path) -> str:
    """Return the verdict in words, or the line that refuses the folder."""
    try:
        return str(build_report(read_contents(folder)).verdict.words)
    except ProblemError as error:
        return str(error)


def trial_of(folder: Path, cell: str, number: int) -> Path:
    (path,) = (folder / "trials").glob(f"r{number:03d}-*-{cell}.json")
    return path


def in_file(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def in_trials(folder: Path, change: Callable[[dict[str, Any]], object], which: str = "*") -> None:
    for path in (folder / "trials").glob(f"{which}.json"):
        in_file(path, change)


def slower(by: float) -> Callable[[dict[str, Any]], None]:
    """Return what makes all that a trial's workers took longer, as their clocks would have it."""

    def change(trial: dict[str, Any]) -> None:
        for worker in trial["workers"]:
            for process in worker["report"]["processes"]:
                more = round(process["duration_seconds"] * by * 1e9)
                process["duration_seconds"] *= 1 + by
                process["cpu_seconds"] *= 1 + by
                process["end_epoch_ns"] += more
                trial["wall_seconds"] += more / 1e9
                trial["spent_seconds"] += more / 1e9

    return change


def hashed_anew(folder: Path) -> None:
    """Seal the plan anew, and let each trial hold the hash of the one before it."""
    last = hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest()
    found = [(path, json.loads(path.read_bytes())) for path in (folder / "trials").iterdir()]
    found.sort(key=lambda each: int(each[1]["number"]))
    seal = last
    for number, (path, content) in enumerate(found, start=1):
        content |= {"plan_sha256": seal, "follows_sha256": last, "number": number}
        made = load(Trial, json.dumps(content), path.name)
        path.write_text(made.text())
        last = made.sha256


def each_worker(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], None]:
    def in_trial(trial: dict[str, Any]) -> None:
        for worker in trial["workers"]:
            change(worker)

    return in_trial


def _swapped(folder: Path) -> None:
    first, second = trial_of(folder, "alone", 2), trial_of(folder, "alone", 3)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def _interrupted(folder: Path) -> None:
    for number in range(1, 10):
        path = trial_of(folder, "together-3", number)
        content = json.loads(path.read_bytes())
        lost = {**content, "attempt": 2, "outcome": "interrupted", "workers": [], "wall_seconds": None}
        path.with_name(f"{path.stem}.attempt-2.json").write_text(json.dumps(lost))


def _without_rounds(folder: Path, numbers: range) -> None:
    for number in numbers:
        for path in (folder / "trials").glob(f"r{number:03d}-*.json"):
            path.unlink()


HONEST: dict[str, Edit] = {
    "a trial was deleted": lambda run: trial_of(run, "alone", 4).unlink(),
    "a Job was deleted": lambda run: trial_of(run, "together-3", 6).unlink(),
    "a round was deleted": lambda run: _without_rounds(run, range(5, 6)),
    "the slow half was deleted": lambda run: _without_rounds(run, range(2, 6)),
    "the warm-up was deleted": lambda run: _without_rounds(run, range(1)),
    "two files changed their names": lambda run: _swapped(run),
    "a trial was copied from another round": lambda run: shutil.copy(
        trial_of(run, "alone", 2), trial_of(run, "alone", 3)
    ),
    "a trial of another run was copied in": lambda run: in_file(
        trial_of(run, "alone", 3), lambda trial: trial.update(run_id="other")
    ),
    "the rounds were lowered in plan.json": lambda run: in_file(
        run / "plan.json", lambda plan: plan["settings"].update(rounds=5)
    ),
    "the base Pi was changed in plan.json": lambda run: in_file(
        run / "plan.json", lambda plan: plan.update(base_pi="pi-2")
    ),
    "a wall time was mended by hand": lambda run: in_file(
        trial_of(run, "together-3", 2), lambda trial: trial.update(wall_seconds=10.9)
    ),
    "a warning was taken out": lambda run: in_file(
        trial_of(run, "alone", 2), lambda trial: trial.update(spent_seconds=1.0)
    ),
    "a look at a Pi was deleted": lambda run: (run / "hosts/pi-2.after.json").unlink(),
    "all looks were deleted": lambda run: shutil.rmtree(run / "hosts"),
    "nodes.json was deleted": lambda run: (run / "nodes.json").unlink(),
    "a governor was set between the looks": lambda run: in_file(
        run / "hosts/pi-3.after.json", lambda look: look["state"].update(governors=["powersave"])
    ),
    "a Pi was throttled": lambda run: in_file(
        run / "hosts/pi-2.after.json", lambda look: look["state"].update(throttled=0x40000)
    ),
    "a clock was set": lambda run: in_file(
        run / "hosts/pi-2.after.json", lambda look: look["state"].update(clock_offset_seconds=0.5)
    ),
    "Jobs were stopped and measured again": _interrupted,
    "a file was cut": lambda run: trial_of(run, "alone", 3).write_bytes(b'{"run_id"'),
    "two copies were gone on with": lambda run: in_file(
        trial_of(run, "alone", 9), lambda trial: trial.update(number=4)
    ),
}
FORGED: dict[str, Edit] = {
    "all Jobs faster": lambda run: in_trials(run, slower(-0.2), "*-together-3"),
    "all base cases slower": lambda run: in_trials(run, slower(0.1), "*-alone"),
    "one Job faster": lambda run: in_trials(run, slower(-0.3), "r004-*-together-3"),
    "one base case slower": lambda run: in_trials(run, slower(0.3), "r004-*-alone"),
    "another number of samples": lambda run: in_trials(
        run,
        each_worker(lambda worker: worker["report"]["processes"][0].update(samples=11_000_000)),
        "*-alone",
    ),
    "another seed": lambda run: in_trials(
        run, each_worker(lambda worker: worker["report"]["processes"][0].update(rng_seed="0" * 16)), "r003-*"
    ),
    "counts that were not drawn": lambda run: in_trials(
        run, each_worker(lambda worker: worker["report"]["processes"][0].update(inside=7_853_981)), "*"
    ),
    "another Pi alone": lambda run: in_trials(
        run,
        each_worker(lambda worker: (worker.update(pi="pi-2"), worker["report"].update(node="pi-2"))),
        "*-alone",
    ),
    "two pods on one Pi": lambda run: in_file(
        trial_of(run, "together-3", 3), lambda trial: trial["workers"][1].update(pi="pi-1")
    ),
    "a lower limit alone": lambda run: in_trials(
        run, each_worker(lambda worker: worker.update(cpu_limit_cores=0.5)), "*-alone"
    ),
    "another Python alone": lambda run: in_trials(
        run, each_worker(lambda worker: worker["report"].update(python_version="3.13.1")), "*-alone"
    ),
    "another machine alone": lambda run: in_trials(
        run, each_worker(lambda worker: worker["report"].update(machine="armv7l")), "*-alone"
    ),
    "another image alone": lambda run: in_trials(
        run, each_worker(lambda worker: worker.update(image_ids=[f"x@sha256:{'5e' * 32}"])), "*-alone"
    ),
    "starved base cases": lambda run: in_trials(
        run, each_worker(lambda worker: worker["report"]["processes"][0].update(cpu_seconds=5.0)), "*-alone"
    ),
    "makespans that do not fit the workers' own times": lambda run: in_trials(
        run,
        each_worker(
            lambda worker: worker["report"]["processes"][0].update(
                end_epoch_ns=worker["report"]["processes"][0]["end_epoch_ns"] - 2 * 10**9
            )
        ),
        "*-together-3",
    ),
    "wall times shorter than what they contain": lambda run: in_trials(
        run, lambda trial: trial.update(wall_seconds=5.0), "*-together-3"
    ),
    "fewer rounds in plan and settings": lambda run: _fewer_rounds(run, settings=False),
    "another order in the plan": lambda run: in_file(run / "plan.json", lambda plan: plan["order"].reverse()),
    "a trial left out in the middle": lambda run: trial_of(run, "together-3", 4).unlink(),
}


def _fewer_rounds(folder: Path, settings: bool) -> None:
    def change(plan: dict[str, Any]) -> None:
        plan["order"] = plan["order"][:7]
        if settings:
            plan["settings"].update(rounds=6, long_rounds=6)

    in_file(folder / "plan.json", change)
    _without_rounds(folder, range(7, 10))


# As if the last rounds had never been.
FORGED_UNSEEN: dict[str, Edit] = {
    "the last rounds were removed": lambda run: _without_rounds(run, range(8, 10)),
    "a plan of fewer rounds, its settings too": lambda run: _fewer_rounds(run, settings=True),
}


@pytest.mark.parametrize("edit", HONEST.values(), ids=HONEST)
def test_no_honest_mishap_is_sound(run: Path, edit: Edit) -> None:
    edit(run)
    assert not verdict(run).startswith(SOUND), verdict(run)


@pytest.mark.parametrize("edit", FORGED.values(), ids=FORGED)
def test_a_forgery_is_seen_by_what_it_contradicts(run: Path, edit: Edit) -> None:
    edit(run)
    hashed_anew(run)
    assert not verdict(run).startswith(SOUND), verdict(run)


@pytest.mark.parametrize(("name", "edit"), FORGED_UNSEEN.items(), ids=FORGED_UNSEEN)
def test_what_a_folder_cannot_show_is_in_the_documentation(run: Path, name: str, edit: Edit) -> None:
    edit(run)
    hashed_anew(run)
    # All but the last hash, which the report printed: who noted it sees each of them.
    assert verdict(run).startswith(SOUND)
    assert name in (PROJECT / "docs/report.md").read_text("utf-8")
