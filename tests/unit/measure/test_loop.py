"""The loop: everything once and on disk, once more where it may pass, no further where it cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pi_speedup.codes import Code
from pi_speedup.measure.loop import Ended, measure
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.trial import ByHand, Measured, Trial
from pi_speedup.problem import Interrupted, ProblemError, refuse
from pi_speedup.store import RunStore
from tests.unit.plan.factory import plan, trial


@dataclass
class Scripted:
    """A driver whose trials go well, but for those that the script names by slot and attempt."""

    of: Plan
    script: dict[tuple[str, int], Callable[[Slot, int], Trial]] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def run(self, slot: Slot, attempt: int) -> Measured:
        self.ran.append(f"{slot.name}#{attempt}")
        act = self.script.get((slot.name, attempt))
        return Measured(
            act(slot, attempt) if act else trial(self.of, slot, attempt=attempt), {"pod": "log\n"}
        )


@pytest.fixture
def made() -> Plan:
    return plan(rounds=2, long_rounds=0)


@pytest.fixture
def store(made: Plan, tmp_path: Path) -> RunStore:
    sealed = RunStore(tmp_path / "runs" / "x")
    sealed.seal(made)
    return sealed


def go(
    made: Plan, store: RunStore, driver: Scripted, lines: list[str] | None = None, session: int = 1
) -> Ended:
    return measure(
        made,
        store,
        {"job": driver, "base": driver},
        (lines if lines is not None else []).append,
        half_width_percent=lambda: None,
        session=session,
        sleep=lambda seconds: None,
    )


def fails(made: Plan, passes_by_itself: bool) -> Callable[[Slot, int], Trial]:
    return lambda slot, attempt: trial(
        made, slot, "failed", attempt=attempt, passes_by_itself=passes_by_itself
    )


def interrupts(_slot: Slot, _attempt: int) -> Trial:
    raise Interrupted("Ctrl-C")


def names(store: RunStore) -> list[str]:
    return [each.name for each in store.trials()]


def test_all_is_measured_once_and_on_disk_with_its_logs(made: Plan, store: RunStore) -> None:
    lines: list[str] = []
    assert go(made, store, Scripted(made), lines) == Ended("complete")
    assert names(store) == [slot.name for slot in made.slots]
    assert (store.folder / "logs" / made.slots[0].name / "pod.log").read_text() == "log\n"
    assert len(lines) == len(made.slots)
    assert lines[0].startswith("warm-up")
    assert lines[-1].startswith("round 2 of 2")


def test_what_may_pass_by_itself_is_tried_once_more(made: Plan, store: RunStore) -> None:
    slot = made.slots[2]
    driver = Scripted(made, {(slot.name, 1): fails(made, True)})
    lines: list[str] = []
    assert go(made, store, driver, lines).why == "complete"
    assert "  pod 0: failed; that may pass by itself: measuring this trial once more" in lines
    assert names(store).count(f"{slot.name}.attempt-2") == 1
    assert len(names(store)) == len(made.slots) + 1


@pytest.mark.parametrize(
    ("passes", "attempts"), [(True, 2), (False, 1)], ids=["fails twice", "cannot pass by itself"]
)
def test_a_failure_that_stays_ends_the_run_and_keeps_what_was_measured(
    made: Plan, store: RunStore, passes: bool, attempts: int
) -> None:
    slot = made.slots[2]
    driver = Scripted(made, {(slot.name, number): fails(made, passes) for number in (1, 2)})
    lines: list[str] = []
    ended = go(made, store, driver, lines)
    assert ended.why == "failed"
    assert str(ended.problem) == "pod 0: failed [PS-521]. Next: look"
    # The line with which the run ends stands once.
    assert not any("Next: " in line for line in lines)
    assert [each.outcome for each in store.trials()] == ["ok", "ok"] + ["failed"] * attempts


def test_an_interrupted_run_goes_on_where_it_was(made: Plan, store: RunStore) -> None:
    slot = made.slots[3]
    ended = go(made, store, Scripted(made, {(slot.name, 1): interrupts}))
    assert ended.why == "interrupted"
    assert str(ended.problem) == "run x: stopped by Ctrl-C [PS-901]"
    later = Scripted(made)
    assert go(made, store, later, session=2) == Ended("complete")
    assert later.ran == [f"{slot.name}#2", *(f"{each.name}#1" for each in made.slots[4:])]
    assert sum(each.outcome == "ok" for each in store.trials()) == len(made.slots)
    assert [each.session for each in store.trials()] == [1] * 4 + [2] * (len(made.slots) - 3)


def test_a_finished_run_measures_nothing(made: Plan, store: RunStore) -> None:
    go(made, store, Scripted(made))
    again = Scripted(made)
    assert go(made, store, again) == Ended("complete")
    assert again.ran == []


@pytest.mark.fault("runs folder moved away while it is measured")
def test_a_folder_that_is_moved_away_ends_the_run_and_goes_on_where_it_is_put_back(
    made: Plan, store: RunStore
) -> None:
    slot, elsewhere = made.slots[2], store.folder.with_name("elsewhere")

    def moved(of: Slot, attempt: int) -> Trial:
        store.folder.rename(elsewhere)
        return trial(made, of, attempt=attempt)

    with pytest.raises(ProblemError, match=r"/runs/x: its plan is gone: .* Next: put it back"):
        go(made, store, Scripted(made, {(slot.name, 1): moved}))
    assert not store.folder.exists()
    elsewhere.rename(store.folder)
    again = Scripted(made)
    assert go(made, store, again) == Ended("complete")
    assert again.ran[0] == f"{slot.name}#1"


def test_a_cluster_taken_by_another_run_ends_this_one(made: Plan, store: RunStore) -> None:
    def taken(_since: float) -> None:
        raise refuse(Code.CLAIMED_BY_ANOTHER_RUN, "the cluster", "another run measures there", "wait for it")

    driver = Scripted(made)
    ended = measure(
        made,
        store,
        {"job": driver, "base": driver},
        lambda line: None,
        half_width_percent=lambda: None,
        still_ours=taken,
        sleep=lambda seconds: None,
    )
    assert (ended.why, driver.ran) == ("failed", [])


def test_a_trial_that_was_measured_while_another_run_had_the_cluster_is_not_kept_as_good(
    made: Plan, store: RunStore
) -> None:
    driver = Scripted(made)
    slot = made.slots[2]

    def taken_within_the_third(since: float) -> None:
        if since and len(driver.ran) == 3:
            raise refuse(Code.CLAIM_LOST, "this benchmark's claim", "taken over by run y", "see who measures")

    ended = measure(
        made,
        store,
        {"job": driver, "base": driver},
        lambda line: None,
        half_width_percent=lambda: None,
        still_ours=taken_within_the_third,
        sleep=lambda seconds: None,
    )
    assert ended.why == "failed" and ended.problem is not None and ended.problem.code == Code.CLAIM_LOST
    assert [(each.outcome, each.wall_seconds is None) for each in store.trials()] == [
        ("ok", False),
        ("ok", False),
        ("failed", True),
    ]
    # Nothing else is lost by it: its log is there, and the run goes on with this trial.
    assert (store.folder / "logs" / slot.name / "pod.log").exists()
    again = Scripted(made)
    assert go(made, store, again) == Ended("complete")
    assert again.ran[0] == f"{slot.name}#2"


def test_trials_are_counted_over_all_sessions(made: Plan, store: RunStore) -> None:
    slot = made.slots[2]
    driver = Scripted(made, {(slot.name, 1): fails(made, True), (made.slots[3].name, 1): interrupts})
    assert go(made, store, driver).why == "interrupted"
    assert go(made, store, Scripted(made)) == Ended("complete")
    # Two good ones, a failed and its second attempt, an interrupted one and all that were left.
    assert sorted(each.number for each in store.trials()) == list(range(1, len(made.slots) + 3))
    good = [each.number for each in store.trials() if each.outcome == "ok"]
    assert good == sorted(good) and good[2:4] == [4, 6]
    # Each holds the hash of the one before it, as it is on disk.
    in_order = sorted(store.trials(), key=lambda each: each.number)
    files = [store.folder / f"trials/{each.name}.json" for each in in_order]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    assert [each.follows_sha256 for each in in_order] == [made.sha256, *hashes[:-1]]


@dataclass
class Shown(Scripted):
    """A driver that says how its trials are started by hand; `asked` are those whose text was made."""

    asked: list[str] = field(default_factory=list)

    def run(self, slot: Slot, attempt: int) -> Measured:
        done = super().run(slot, attempt)

        def text() -> str:
            self.asked.append(slot.name)
            return f"# {slot.name}\n"

        return replace(done, by_hand=ByHand(".yaml", text))


def by_hand(store: RunStore) -> dict[str, str]:
    return {path.name: path.read_text() for path in (store.folder / "manifests").iterdir()}


def test_each_cell_is_shown_as_its_first_trial_was(made: Plan, store: RunStore) -> None:
    driver = Shown(made)
    assert go(made, store, driver) == Ended("complete")
    assert by_hand(store) == {
        "alone.yaml": "# r000-00-alone\n",
        "together-3.yaml": "# r000-01-together-3\n",
    }
    # For no other trial it costs anything.
    assert driver.asked == ["r000-00-alone", "r000-01-together-3"]
    modes = {path: path.stat().st_mode & 0o777 for path in (store.folder / "manifests").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (store.folder / "manifests").stat().st_mode & 0o777 == 0o700


def test_a_run_that_goes_on_keeps_what_its_first_trials_showed(made: Plan, store: RunStore) -> None:
    assert go(made, store, Shown(made, {(made.slots[3].name, 1): interrupts})).why == "interrupted"
    before = by_hand(store)
    assert len(before) == 2
    later = Shown(made)
    assert go(made, store, later, session=2) == Ended("complete")
    assert (by_hand(store), later.asked) == (before, [])


def test_a_trial_that_failed_is_shown_too(made: Plan, store: RunStore) -> None:
    assert go(made, store, Shown(made, {(made.slots[0].name, 1): fails(made, False)})).why == "failed"
    assert by_hand(store) == {"alone.yaml": "# r000-00-alone\n"}


def test_what_cannot_be_shown_costs_a_line_and_no_trial(made: Plan, store: RunStore) -> None:
    (store.folder / "manifests").write_text("mine")
    lines: list[str] = []
    assert go(made, store, Shown(made), lines) == Ended("complete")
    assert names(store) == [slot.name for slot in made.slots]
    told = [line for line in lines if "by hand" in line]
    assert [line.partition(" by hand is not kept: ")[0] for line in told] == [
        "  how to start alone",
        "  how to start together-3",
    ]
    assert all(str(store.folder / "manifests") in line for line in told)
    assert (store.folder / "manifests").read_text() == "mine"
