"""report.html from a report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Check, Report
from pi_speedup.model.settings import PREFIX, Settings
from pi_speedup.model.trial import Trial
from pi_speedup.report.page.charts.every_trial import MOST_DOTS
from pi_speedup.report.page.charts.report import charts
from pi_speedup.report.page.document import TEMPLATES, document
from pi_speedup.report.page.trials import typical_round
from pi_speedup.report.wording import (
    SIGNS,
    budget,
    hardware,
    host_name,
    in_brief,
    left_out,
    main_comparison,
    one_pi_seconds,
    outcome,
    range_of,
    readings,
    session_words,
    slowest_pi,
)
from pi_speedup.report.workload import own_section, program

_TONES = {"invalid": "invalid", "doubtful": "doubtful", "none": "noted"}


def page(report: Report, trials: Sequence[Trial], words: Catalogue) -> str:
    """Return report.html. Without the trials' files it has no timeline, and no times of those uncounted."""
    main = main_comparison(report)
    typical = typical_round(report, trials)
    by_code = {check.code: check for check in report.checks}
    progress = report.progress

    def titles(codes: Sequence[str]) -> list[str]:
        return [by_code[code].title for code in codes if code in by_code]

    return document(
        TEMPLATES / "report.html.j2",
        words,
        f"{report.tool.name} {report.tool.version}",
        "report",
        report,
        report=report,
        pis=words.count("pi", len(report.pis)),
        heading=words("page.title", pis=words.count("pi", len(report.pis)))
        if main
        else words("page.no_figure_title"),
        main=main,
        sign=SIGNS[report.verdict.status],
        because=[
            (words.say(in_brief(by_code[code])), words.say(by_code[code].meaning or ""))
            for code in report.verdict.because
            if code in by_code
        ],
        not_looked_at=titles(report.verdict.not_looked_at),
        blind=titles(report.verdict.blind),
        charts=charts(report, trials, words),
        rounds={each.round: each for each in main[0].rounds} if main else {},
        binned=progress.rounds_complete > MOST_DOTS,
        timeline_round=typical.number if typical else None,
        flags=_flags(report),
        unknown=[check for check in report.checks if check.status == "unknown"],
        passed=[check for check in report.checks if check.status == "pass"],
        ending=_ending(report, words),
        stopped=_stopped(report, words),
        hardware=hardware(report, words),
        program=program(report, words),
        one_pi_seconds=one_pi_seconds,
        command=command(report),
        settings=_settings(report),
        facts=_facts(report, trials, words),
        hosts=[(host_name(host, words), readings(host.before, host.after, words)) for host in report.hosts],
        range_of=lambda of, percent=False: range_of(of, words, percent=percent),
        left_out=left_out(report, words),
        slowest_pi=slowest_pi,
        budget=budget,
        own=own_section(report, words),
        outcome=lambda each: outcome(each, words),
    )


def command(report: Report) -> str:
    """Return the command that measures this again: the settings that differ from their defaults."""
    given = {f"{PREFIX}{name}": value for name, value in report.settings.items() if _changed(name, value)}
    if not given:
        return "ansible-playbook benchmark.yml"
    return f"ansible-playbook benchmark.yml -e {shlex.quote(json.dumps(given, ensure_ascii=False))}"


def _ending(report: Report, words: Catalogue) -> str:
    progress = report.progress
    planned = words.count("round", progress.rounds_planned)
    return words("ending.line", done=progress.rounds_complete, planned=planned, ending=progress.ending.words)


def _stopped(report: Report, words: Catalogue) -> str:
    """Return where a run stopped that did not end by plan; empty where it did."""
    ending = report.progress.ending
    if ending.kind in ("complete", "target", "budget"):
        return ""
    tries = [trial for trial in report.trials if trial.outcome != "ok"]
    if ending.kind not in ("failed", "interrupted") or not tries:
        return _ending(report, words)
    number, of_all = tries[-1].round, report.progress.rounds_planned
    where = words("stopped.round" if number else "stopped.warm_up", round=number, rounds=of_all)
    return words(f"stopped.{ending.kind}", where=where)


def _flags(report: Report) -> list[tuple[Check, str]]:
    found = [check for check in report.checks if check.status == "flag"]
    found.sort(key=lambda check: list(_TONES).index(check.effect))
    return [(check, _TONES[check.effect]) for check in found]


def _changed(name: str, value: object) -> bool:
    field = Settings.model_fields.get(name)
    default = list(field.default) if field and isinstance(field.default, tuple) else field and field.default
    return field is None or value != default


def _settings(report: Report) -> list[tuple[str, str, bool]]:
    return [
        (f"{PREFIX}{name}", json.dumps(value, ensure_ascii=False), _changed(name, value))
        for name, value in report.settings.items()
    ]


def _facts(report: Report, trials: Sequence[Trial], words: Catalogue) -> list[tuple[str, list[str]]]:
    ids = {
        each
        for trial in trials
        if trial.outcome == "ok"
        for worker in trial.workers
        for each in worker.image_ids
    }
    return [
        ("images", list(report.software.images)),
        ("image_ids", sorted(ids)),
        ("pythons", list(report.software.pythons)),
        ("machines", list(report.software.machines)),
        ("tool", [f"{report.tool.name} {report.tool.version}"]),
        ("sessions", [session_words(each, words) for each in report.sessions]),
    ]
