"""The report of a run: every figure with its base case, and how far it can be believed.

A function of the run's files alone, so that building it again gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pi_speedup import __version__
from pi_speedup.catalogue import Catalogue, Message
from pi_speedup.model.plan import ALONE, LeftOut
from pi_speedup.model.report import (
    Check,
    Comparison,
    Effect,
    Pods,
    Report,
    SessionRow,
    Software,
    Tool,
    TrialRow,
    Verdict,
    VerdictStatus,
)
from pi_speedup.model.settings import Settings, is_local
from pi_speedup.model.trial import Trial
from pi_speedup.report import estimates
from pi_speedup.report.checks import run_checks
from pi_speedup.report.csv_table import csv_text
from pi_speedup.report.evidence import Contents, Evidence, Work, read_contents
from pi_speedup.report.images import digest, short_name
from pi_speedup.report.metrics import metrics
from pi_speedup.report.summary import progress
from pi_speedup.report.terminal import terminal_table
from pi_speedup.report.wording import estimate, idle, pis_of, reasons, used
from pi_speedup.report.workload import OWN
from pi_speedup.text import to_plain

_LEAST_BUDGET_PERCENT = 5.0
Exporter = Callable[[Report, Sequence[Trial], Catalogue], str]


# What makes each is imported where it is asked for: what draws charts takes as long as all the rest.
def _page(report: Report, trials: Sequence[Trial], words: Catalogue) -> str:
    from pi_speedup.report.page.page import page

    return page(report, trials, words)


def _markdown(report: Report, trials: Sequence[Trial], words: Catalogue) -> str:
    from pi_speedup.report.markdown import markdown

    return markdown(report, trials, words)


# By the setting `report_formats`: the file and what makes it. The page first: what is named first is opened.
EXPORTERS: dict[str, tuple[str, Exporter]] = {
    "html": ("report.html", _page),
    "json": ("report.json", lambda report, trials, words: report.text()),
    "md": ("report.md", _markdown),
    "csv": ("report.csv", csv_text),
    "metrics": ("metrics.prom", metrics),
}


def report_files(
    folder: Path, formats: Sequence[str] = Settings().report_formats, language: str = "en"
) -> dict[str, Any]:
    """Return a report's files, of a run's folder: `report.json` and so on as texts, `table` for a terminal.

    formats, language: as the settings `report_formats` and `language`. ProblemError naming the file that is
    missing or wrong.
    """
    contents = read_contents(folder)
    report = build_report(contents)
    words = Catalogue(language, report.unit)
    return {
        "table": list(terminal_table(report, words)),
        **{
            name: export(report, contents.trials, words)
            for form, (name, export) in EXPORTERS.items()
            if form in formats
        },
    }


def build_report(contents: Contents) -> Report:
    """Return the report of what a run left; ProblemError naming a trial that is not what it says."""
    evidence = Evidence(contents)
    plan, nodes = contents.plan, contents.nodes
    checks = run_checks(evidence)
    found = estimates.comparisons(evidence)
    pi_figures, controls = estimates.pi_figures(evidence), estimates.controls(evidence)
    some, own = bool(evidence.rounds), OWN.get(evidence.workload.name)
    settings: Any = to_plain({name: value for name, value in plan.settings if not is_local(name)})
    return Report(
        tool=Tool(name="pi-speedup", version=__version__),
        run_id=plan.run_id,
        made_at=plan.made_at,
        plan_sha256=plan.sha256,
        last_trial_sha256=_last_sha256(contents),
        worker_sha256=plan.worker_sha256,
        program_sha256=plan.program_sha256 or None,
        order_seed=plan.order_seed,
        workload=evidence.workload.name,
        unit=evidence.workload.unit(plan.settings),
        amount_per_process=evidence.cells[ALONE].amount_per_process,
        settings=settings,
        caveat=plan.settings.caveat or None,
        pis=plan.pis,
        base_pi=plan.base_pi,
        left_out=tuple(LeftOut(pi=each.pi, problem=each.problem.shown) for each in plan.left_out),
        used=used(evidence),
        idle=idle(evidence),
        headline=_headline(evidence, found),
        progress=progress(plan, contents.trials),
        verdict=_verdict(checks, found),
        comparisons=found,
        bracket=estimates.bracket(evidence) if some else None,
        ledger=estimates.ledger(evidence) if some else None,
        sweep=estimates.sweep(evidence),
        pi_figures=pi_figures,
        straggler=estimates.straggler(
            pi_figures,
            found,
            unequal=any(each.code == "imbalance" and each.status == "flag" for each in checks),
        ),
        capacity=estimates.capacity(evidence),
        controls=controls,
        result=own.result(evidence) if own and some else None,
        software=_software(evidence),
        pods=_pods(evidence) if some else None,
        clocks_corrected=evidence.clocks.corrected,
        checks=checks,
        budget=estimates.budget(found[0], pi_figures, controls) if found else None,
        sessions=_sessions(contents.trials),
        trials=_trial_rows(evidence),
        nodes=nodes.nodes if nodes and nodes.readable else (),
        not_in_inventory=nodes.not_in_inventory if nodes else (),
        hosts=contents.hosts,
    )


def _last_sha256(contents: Contents) -> str | None:
    last = max(contents.trials, key=lambda trial: trial.number, default=None)
    return contents.sha256_of(last) if last else None


def _sessions(trials: Sequence[Trial]) -> tuple[SessionRow, ...]:
    rows = []
    for number in sorted({trial.session for trial in trials}):
        of_it = [trial for trial in trials if trial.session == number]
        began = min(of_it, key=lambda trial: trial.number).started_epoch_ns
        rows.append(SessionRow(number=number, began_epoch_ns=began, trials=len(of_it)))
    return tuple(rows)


def _headline(evidence: Evidence, found: tuple[Comparison, ...]) -> Message:
    if not found or found[0].speedup is None:
        return Message("headline.nothing")
    speedup, part = found[0].speedup, used(evidence)
    if len(found[0].rounds) == 1:
        how = Message("headline.once")
    else:
        key = "headline.no_interval" if speedup.interval is None else "headline.interval"
        how = Message(key, estimate=estimate(speedup), count=len(found[0].rounds))
    return Message(
        "headline.one_pi" if evidence.pis == 1 else "headline.several",
        pis=pis_of(evidence.pis, len(evidence.plan.left_out)),
        used=part,
        speedup=speedup.value,
        base=evidence.plan.base_pi,
        how=how,
    )


def verdict_of(checks: Sequence[Check], *, some: bool) -> tuple[VerdictStatus, tuple[str, ...]]:
    """Return the verdict, and the codes of the checks that led to it; some: whether a round is complete."""
    status: VerdictStatus = "sound" if some else "none"
    because: tuple[str, ...] = ()
    worse: tuple[Effect, ...] = ("doubtful", "invalid") if some else ()
    for each in worse:
        codes = tuple(check.code for check in checks if check.status == "flag" and check.effect == each)
        if codes:
            status, because = each, codes
    return status, because


def _verdict(checks: tuple[Check, ...], found: tuple[Comparison, ...]) -> Verdict:
    titles = {check.code: check.title for check in checks}
    not_looked_at = tuple(check.code for check in checks if check.status == "unknown")
    status, because = verdict_of(checks, some=bool(found))
    looked_at = len(checks) - len(not_looked_at)
    looked = Message("looked_at.all", looked=looked_at, checks=len(checks))
    # What could not be looked at is nearly all without a round, and says nothing but that.
    if found and not_looked_at:
        key = "looked_at.inventory" if "nodes" in not_looked_at else "looked_at.some"
        names = [titles[code] for code in not_looked_at]
        looked = Message(key, looked=looked_at, checks=len(checks), names=names)
    blind = _blind(checks, found)
    if blind:
        looked = Message("looked_at.blind", looked=looked, names=[titles[code] for code in blind])
    seen = "_as_far_as_seen" if status == "sound" and (not_looked_at or blind) else ""
    return Verdict(
        status=status,
        words=Message(f"verdict_line.{status}{seen}", reasons=reasons(checks, because), looked=looked),
        because=because,
        checks=len(checks),
        looked_at=looked_at,
        not_looked_at=not_looked_at,
        blind=blind,
    )


def _blind(checks: Sequence[Check], found: Sequence[Comparison]) -> tuple[str, ...]:
    """Return the checks whose pass says little: what they just would have missed moves the speedup.

    Half the width of its interval, or 5 %, is little.
    """
    if not found or found[0].half_width_percent is None:
        return ()
    budget, rounds = max(_LEAST_BUDGET_PERCENT, found[0].half_width_percent), len(found[0].rounds)
    # What one of several rounds, or half of them, has moves their mean by so much less.
    of_one_round = dict.fromkeys(("disturbed_pods", "disturbed_base", "late_start"), 1 / rounds)
    shares = {**of_one_round, "control": 0.5, "drift": 0.5}
    passed = {check.code: check.could_have_seen_percent or 0 for check in checks if check.status == "pass"}
    return tuple(code for code, seen in passed.items() if seen * shares.get(code, 1) > budget)


def _software(evidence: Evidence) -> Software:
    workers = [work for _, work in evidence.works]
    return Software(
        images=tuple(sorted({short_name(work.worker.image) for work in workers if work.worker.image})),
        pythons=_interpreters(evidence, workers),
        machines=tuple(sorted({work.report.machine for work in workers})),
    )


def _interpreters(evidence: Evidence, works: Sequence[Work]) -> tuple[str, ...]:
    return tuple(sorted({evidence.workload.ran_in(work.report) for work in works} - {""}))


def _pods(evidence: Evidence) -> Pods:
    works = [work for job in evidence.jobs for work in job.works]
    digests = {found for work in works for image_id in work.worker.image_ids if (found := digest(image_id))}
    limits = {work.worker.cpu_limit_cores for work in works}
    return Pods(
        processes_per_pi=evidence.together.processes_per_pi,
        images=tuple(sorted({short_name(work.worker.image) for work in works if work.worker.image})),
        image_ids=tuple(sorted(f"{kind} {sha256}" for kind, sha256 in digests)),
        pythons=_interpreters(evidence, works),
        machines=tuple(sorted({work.report.machine for work in works})),
        cpu_limits_cores=tuple(sorted(limits, key=lambda limit: limit or 0.0)),
    )


def _trial_rows(evidence: Evidence) -> tuple[TrialRow, ...]:
    counted = {measurement.trial.name: measurement for measurement in evidence.measured}
    rows = []
    for trial in evidence.trials:
        measurement = counted.get(trial.name)
        rows.append(
            TrialRow(
                name=trial.name,
                round=trial.slot.round,
                cell=trial.slot.cell,
                attempt=trial.attempt,
                outcome=trial.outcome,
                counted=measurement is not None,
                started_epoch_ns=trial.started_epoch_ns,
                seconds=None if measurement is None else measurement.seconds,
                wall_seconds=trial.wall_seconds,
                spent_seconds=trial.spent_seconds,
                problem=trial.problem.shown if trial.problem else None,
            )
        )
    return tuple(rows)
