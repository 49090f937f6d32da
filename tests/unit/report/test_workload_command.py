"""What a report says of a command: copies and parts, whether all did the work, and what nobody can know."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.plan import Plan
from pi_speedup.model.report import Check, Report
from pi_speedup.report.build import build_report
from pi_speedup.report.checks import CHECKS
from pi_speedup.report.csv_table import csv_text
from pi_speedup.report.terminal import terminal_table
from pi_speedup.report.workload import own_section
from tests.unit.report import factory
from tests.unit.report.factory import Defect, Draft


def copies(**settings: Any) -> Plan:
    return factory.plan(command="./job", **settings)


def parts(**settings: Any) -> Plan:
    return copies(divisible=True, **settings)


def report(of: Plan, defect: Defect | None = None, **how: Any) -> Report:
    return build_report(factory.contents(of, hosts=factory.hosts(of), defect=defect, **how))


def checks(of: Plan, defect: Defect | None = None, **how: Any) -> dict[str, Check]:
    return {check.code: check for check in report(of, defect, **how).checks}


def on(pi: str, rounds: tuple[int, ...] = (), **process: Any) -> Defect:
    """Return a defect of a Pi's pods: what their processes say instead, in some rounds or in all."""

    def change(draft: Draft) -> None:
        for worker in draft.workers:
            if worker.pi == pi and not draft.base and (not rounds or draft.slot.round in rounds):
                worker.process |= process

    return change


def of_cpu(factor: float, *, base: bool = False) -> Defect:
    """Return a defect: all workers of one side use so many times the CPU time."""

    def change(draft: Draft) -> None:
        for worker in draft.workers:
            if draft.base == base:
                worker.cpu_share *= factor

    return change


def test_copies_are_counted_as_runs_and_scaled() -> None:
    made = report(copies(), noise=0.001, jitter=0.001)
    compute = made.comparisons[0]
    assert (made.workload, made.unit, made.verdict.status) == ("command", "run", "sound")
    assert (compute.one_pi.amount, compute.all_pis.amount) == (1, 3)
    assert compute.speedup is not None
    assert compute.speedup.value == pytest.approx(3, rel=0.01)
    assert [each.name for each in made.comparisons] == ["compute", "end_to_end", "end_to_end_share"]


def test_parts_are_one_job_on_both_sides() -> None:
    made = report(parts(), noise=0.001, jitter=0.001)
    compute, end_to_end = made.comparisons
    assert (made.unit, made.verdict.status) == ("job", "sound")
    assert (compute.one_pi.amount, compute.all_pis.amount) == (1, 1)
    assert compute.speedup is not None and end_to_end.speedup is not None
    assert compute.speedup.value == pytest.approx(3, rel=0.01)
    # One Pi's 10.2 s and more of a whole command, against the Job's.
    assert 1.9 < end_to_end.speedup.value < 2.5
    assert len(end_to_end.rounds) == 7
    assert {"alone-long"} & {cell.name for cell in parts().cells} == set()


def test_what_dividing_costs_is_the_first_factor_of_the_ledger() -> None:
    def serial(draft: Draft) -> None:
        # 2 s of 10 cannot be divided.
        for worker in draft.workers:
            worker.seconds = 2 + 8 / draft.cell.parts

    made = report(parts(), serial, jitter=0.0001)
    assert made.ledger is not None and made.comparisons[0].speedup is not None
    assert made.comparisons[0].speedup.value == pytest.approx(10 / (2 + 8 / 3), rel=0.01)
    assert made.ledger.mean.alone_against_together == pytest.approx(10 / 3 / (2 + 8 / 3), rel=0.01)


def test_a_heavy_part_is_told_and_no_pi_is_taken_for_slow() -> None:
    of = parts(rounds=6)

    def heavy(draft: Draft) -> None:
        for worker in draft.workers:
            if not draft.base and (of.pis.index(worker.pi) + draft.slot.round) % 3 == 0:
                worker.seconds *= 1.3

    made = report(of, heavy, noise=0.002)
    assert {check.code: check.status for check in made.checks}["imbalance"] == "pass"
    assert made.result is not None
    seconds = made.result["seconds_of_parts"]
    assert seconds == pytest.approx([4.33, 3.33, 3.33], rel=0.01)
    section = own_section(made, Catalogue("en", made.unit))
    assert section is not None
    assert "0: 4.3" in section.words and "./job" in section.words


NO_OUTPUT = {"output_bytes": 0, "output_sha256": "e3" * 16}
FLAGGED: dict[str, tuple[Plan, Defect, str, str, str]] = {
    "a copy that divides itself": (
        copies(),
        of_cpu(1 / 3),
        "same_work",
        "invalid",
        "of the CPU time that one Pi needs",
    ),
    "parts that are not the whole": (parts(), of_cpu(0.5), "same_work", "invalid", "are not the whole"),
    "each part does the whole": (parts(), of_cpu(3), "same_work", "doubtful", "did more than its part"),
    "together more is done": (
        copies(),
        of_cpu(1.5),
        "same_work",
        "doubtful",
        "does more where it is one of several",
    ),
    "other output on one Pi": (
        copies(),
        on("pi-2", output_sha256="77" * 16),
        "same_output",
        "doubtful",
        "pi-2 in together-3 in round 1",
    ),
    "other output of a part in one round": (
        parts(),
        on("pi-2", (3,), output_sha256="77" * 16),
        "same_output",
        "doubtful",
        "pi-2 in together-3 in round 3",
    ),
    "output of chance": (
        copies(),
        lambda draft: [
            worker.process.update(output_sha256=f"{draft.slot.round}{worker.pi[-1]}{draft.base:d}0" * 8)
            for worker in draft.workers
        ],
        "same_output",
        "doubtful",
        "different outputs of the same work, and none of them is usual",
    ),
    "no output": (
        copies(),
        lambda draft: [worker.process.update(NO_OUTPUT) for worker in draft.workers],
        "same_output",
        "doubtful",
        "timed, not checked",
    ),
    "a pod that got less CPU": (
        copies(),
        on("pi-3", (2,), cpu_seconds=5.0),
        "cpu_share",
        "doubtful",
        "pi-3 in together-3 in round 2",
    ),
}


@pytest.mark.parametrize(("of", "defect", "code", "effect", "words"), FLAGGED.values(), ids=FLAGGED)
def test_what_misleads_is_flagged(of: Plan, defect: Defect, code: str, effect: str, words: str) -> None:
    found = checks(of, defect)[code]
    assert (found.status, found.effect) == ("flag", effect), found.found
    assert words in f"{found.found}. {found.meaning}"


def test_each_check_of_a_command_can_flag_and_is_made_of_nothing_else() -> None:
    own = {entry.code for entry in CHECKS if entry.workload == "command"}
    assert own == {code for _, _, code, _, _ in FLAGGED.values()}
    assert own <= checks(copies()).keys()
    assert not own & {check.code for check in build_report(factory.contents()).checks}
    of_pi = {entry.code for entry in CHECKS if entry.workload == "pi"}
    assert not of_pi & checks(copies()).keys()


def test_a_verdict_of_its_own_makes_other_output_no_matter() -> None:
    found = checks(copies(verify="grep -q ok"), on("pi-2", output_sha256="77" * 16))["same_output"]
    assert found.status == "pass"
    assert "not the same everywhere" in found.found


@pytest.mark.parametrize("of", [copies(), parts()], ids=["copies", "parts"])
def test_of_what_waits_cpu_time_says_nothing(of: Plan) -> None:
    def waits(draft: Draft) -> None:
        for worker in draft.workers:
            worker.cpu_share = 0.001

    found = checks(of, waits)
    assert {code: found[code].status for code in ("same_work", "cpu_share")} == dict.fromkeys(
        ("same_work", "cpu_share"), "unknown"
    )


def test_a_part_may_be_faster_than_its_share() -> None:
    def cached(draft: Draft) -> None:
        for worker in draft.workers:
            if not draft.base:
                worker.seconds *= 0.9

    assert checks(parts(), cached)["superlinear"].status == "pass"
    assert checks(copies(), cached)["superlinear"].effect == "doubtful"


def test_a_table_has_the_parts_and_the_outputs() -> None:
    of = parts()
    made = factory.contents(of)
    text = csv_text(build_report(made), made.trials, Catalogue("en", "job"))
    rows = list(csv.DictReader(io.StringIO(text)))
    first = [
        row for row in rows if row["trial"] == "r001-00-together-3" or row["trial"] == "r001-01-together-3"
    ]
    assert sorted(row["part"] for row in first) == ["0", "1", "2"]
    assert {row["parts"] for row in first} == {"3"}
    assert {row["output_sha256"] for row in rows} == {"5e" * 16}


def test_of_parts_the_first_loss_is_what_dividing_costs() -> None:
    made = report(parts())
    lines = "\n".join(terminal_table(made, Catalogue("en", made.unit)))
    assert "% dividing the job x " in lines and "alone against together" not in lines
    assert Catalogue("en", made.unit)("ledger.alone_against_together") == "What dividing costs"


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_the_terminal_says_what_was_run(language: str) -> None:
    made = report(copies())
    lines = "\n".join(terminal_table(made, Catalogue(language, made.unit)))
    assert "./job" in lines
    assert "samples" not in lines


def test_a_command_may_use_all_cores_of_a_pi() -> None:
    made = report(copies(cpu_limit_cores=4))
    assert made.used == "all 4 cores"
    assert made.idle == build_report(factory.contents(factory.plan(processes_per_pi=4))).idle
