"""The report of a run: every figure with its base case, and how far it can be believed.

A function of the run's files alone, so that building it again gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pi_speedup import __version__
from pi_speedup.model.plan import LeftOut
from pi_speedup.model.report import (
    Check,
    Comparison,
    Pods,
    Report,
    Software,
    Tool,
    TrialRow,
    Verdict,
    VerdictStatus,
)
from pi_speedup.model.settings import Settings, is_local
from pi_speedup.report import estimates
from pi_speedup.report.checks import run_checks
from pi_speedup.report.csv_table import csv_text
from pi_speedup.report.evidence import Contents, Evidence, read_contents
from pi_speedup.report.images import digest, short_name
from pi_speedup.report.metrics import metrics
from pi_speedup.report.summary import progress
from pi_speedup.report.words import estimate_words, idle_words, pis_words, used_words
from pi_speedup.text import listed, to_plain


def report_files(
    folder: Path, formats: Sequence[str] = Settings().report_formats, language: str = "en"
) -> dict[str, Any]:
    """Return a report's files, of a run's folder: `report.json` and so on as texts, `table` for a terminal.

    formats, language: as the settings `report_formats` and `language`. ProblemError naming the file that is
    missing or wrong.
    """
    # Jinja is imported where something is rendered, not where the measuring loop asks for a width; what
    # draws charts only where a page is asked for, since it takes as long as all the rest.
    from pi_speedup.report.terminal import terminal_table

    contents = read_contents(folder)
    report = build_report(contents)
    files: dict[str, Any] = {"table": list(terminal_table(report))}
    # The page first: what is named first is what one opens.
    if "html" in formats:
        from pi_speedup.report.page.page import page

        files["report.html"] = page(report, contents.trials, language)
    if "json" in formats:
        files["report.json"] = report.text()
    if "md" in formats:
        from pi_speedup.report.markdown import markdown

        files["report.md"] = markdown(report)
    if "csv" in formats:
        files["report.csv"] = csv_text(contents.trials, {row.name for row in report.trials if row.counted})
    if "metrics" in formats:
        files["metrics.prom"] = metrics(report)
    return files


def build_report(contents: Contents) -> Report:
    """Return the report of what a run left; ProblemError naming a trial that is not what it says."""
    evidence = Evidence(contents)
    plan, nodes = contents.plan, contents.nodes
    checks = run_checks(evidence)
    found = estimates.comparisons(evidence)
    pi_figures = estimates.pi_figures(evidence)
    some = bool(evidence.rounds)
    settings: Any = to_plain({name: value for name, value in plan.settings if not is_local(name)})
    return Report(
        tool=Tool(name="pi-speedup", version=__version__),
        run_id=plan.run_id,
        made_at=plan.made_at,
        plan_sha256=plan.sha256,
        worker_sha256=plan.worker_sha256,
        order_seed=plan.order_seed,
        settings=settings,
        caveat=plan.settings.caveat or None,
        pis=plan.pis,
        base_pi=plan.base_pi,
        left_out=tuple(LeftOut(pi=each.pi, problem=each.problem.shown) for each in plan.left_out),
        used=used_words(evidence),
        idle=idle_words(evidence),
        headline=_headline(evidence, found),
        progress=progress(plan, contents.trials),
        verdict=_verdict(checks, some),
        comparisons=found,
        bracket=estimates.bracket(evidence) if some else None,
        ledger=estimates.ledger(evidence) if some else None,
        sweep=estimates.sweep(evidence),
        pi_figures=pi_figures,
        straggler=estimates.straggler(evidence, pi_figures, found),
        capacity=estimates.capacity(evidence),
        controls=estimates.controls(evidence),
        estimate_of_pi=estimates.merged_pi(evidence) if some else None,
        software=_software(evidence),
        pods=_pods(evidence) if some else None,
        clocks_corrected=evidence.clocks.corrected,
        checks=checks,
        trials=_trial_rows(evidence),
        nodes=nodes.nodes if nodes and nodes.readable else (),
        not_in_inventory=nodes.not_in_inventory if nodes else (),
        hosts=contents.hosts,
    )


def _headline(evidence: Evidence, found: tuple[Comparison, ...]) -> str:
    if not found or found[0].speedup is None:
        return "There is no figure: no round is complete."
    plan, first = evidence.plan, found[0]
    speedup = found[0].speedup
    used = used_words(evidence)
    each = f"{used} of each" if evidence.pis > 1 else used
    if len(first.rounds) == 1:
        how = "measured once, so there is no interval"
    elif speedup.interval is None:
        how = f"no interval, {estimate_words(speedup)}; {len(first.rounds)} rounds"
    else:
        how = f"{estimate_words(speedup)}; {len(first.rounds)} rounds"
    return (
        f"{pis_words(evidence.pis, len(plan.left_out))}, {each}, computed {speedup.value:.2f} times as fast "
        f"as {used} of {plan.base_pi} alone ({how})."
    )


def _verdict(checks: tuple[Check, ...], some: bool) -> Verdict:
    not_looked_at = tuple(check.code for check in checks if check.status == "unknown")
    looked_at = len(checks) - len(not_looked_at)
    by_effect = {
        effect: tuple(check.code for check in checks if check.status == "flag" and check.effect == effect)
        for effect in ("invalid", "doubtful")
    }
    words = f"{looked_at} of {len(checks)} checks looked at"
    if not_looked_at:
        words += f"; not: {listed(not_looked_at, most=len(checks))}"
    if "nodes" in not_looked_at:
        words += ". The Pis are those of the inventory: nothing is known of their nodes"
    if not some:
        return Verdict(
            status="none",
            # What could not be looked at is nearly all then, and says nothing but that.
            words=f"No figure. {looked_at} of {len(checks)} checks looked at.",
            because=(),
            checks=len(checks),
            looked_at=looked_at,
            not_looked_at=not_looked_at,
        )
    status: VerdictStatus = "sound"
    because: tuple[str, ...] = ()
    reason = ": no check gives a reason to doubt the figures"
    worse: tuple[VerdictStatus, VerdictStatus] = ("doubtful", "invalid")
    for each in worse:
        if by_effect[each]:
            status, because = each, by_effect[each]
            reason = f", because of {listed(because, most=len(checks))}"
    return Verdict(
        status=status,
        words=f"{status.capitalize()}{reason}. {words}.",
        because=because,
        checks=len(checks),
        looked_at=looked_at,
        not_looked_at=not_looked_at,
    )


def _software(evidence: Evidence) -> Software:
    workers = [work for _, work in evidence.works]
    return Software(
        images=tuple(sorted({short_name(work.worker.image) for work in workers if work.worker.image})),
        pythons=tuple(
            sorted({f"{work.report.python_implementation} {work.report.python_version}" for work in workers})
        ),
        machines=tuple(sorted({work.report.machine for work in workers})),
    )


def _pods(evidence: Evidence) -> Pods:
    works = [work for job in evidence.jobs for work in job.works]
    digests = {found for work in works for image_id in work.worker.image_ids if (found := digest(image_id))}
    limits = {work.worker.cpu_limit_cores for work in works}
    return Pods(
        processes_per_pi=evidence.together.processes_per_pi,
        images=tuple(sorted({short_name(work.worker.image) for work in works if work.worker.image})),
        image_ids=tuple(sorted(f"{kind} {sha256}" for kind, sha256 in digests)),
        pythons=tuple(
            sorted({f"{work.report.python_implementation} {work.report.python_version}" for work in works})
        ),
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
