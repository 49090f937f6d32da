"""report.html from a report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from pi_speedup.model.host import HostState
from pi_speedup.model.report import Check, Report
from pi_speedup.model.settings import PREFIX, Settings
from pi_speedup.model.trial import Trial
from pi_speedup.report.checks.pis import words as throttled_words
from pi_speedup.report.page.charts.every_trial import MOST_DOTS
from pi_speedup.report.page.charts.report import charts
from pi_speedup.report.page.document import document
from pi_speedup.report.page.trials import typical_round
from pi_speedup.report.page.words import SIGNS, Words, main_comparison

_TONES = {"invalid": "invalid", "doubtful": "doubtful", "none": "noted"}
_ARROW = " \N{RIGHTWARDS ARROW} "


def page(report: Report, trials: Sequence[Trial] = (), language: str = "en") -> str:
    """Return report.html. Without the trials' files it has no timeline, and no times of those uncounted."""
    words = Words(language)
    main = main_comparison(report)
    typical = typical_round(report, trials)
    by_code = {check.code: check for check in report.checks}
    progress = report.progress
    return document(
        "report.html.j2",
        words,
        f"{report.tool.name} {report.tool.version}",
        "report",
        report,
        report=report,
        pis=words.pis(len(report.pis)),
        heading=words("page.title", pis=words.pis(len(report.pis)))
        if main
        else words("page.no_figure_title"),
        stop="\N{IDEOGRAPHIC FULL STOP}" if language == "zh-TW" else ".",
        main=main,
        sign=SIGNS[report.verdict.status],
        because=[by_code[code] for code in report.verdict.because if code in by_code],
        charts=charts(report, trials, words),
        rounds={each.round: each for each in main[0].rounds} if main else {},
        binned=progress.rounds_complete > MOST_DOTS,
        timeline_round=typical.number if typical else None,
        flags=_flags(report),
        unknown=[check for check in report.checks if check.status == "unknown"],
        passed=[check for check in report.checks if check.status == "pass"],
        ending=words(
            f"ending.{progress.ending.kind}",
            done=progress.rounds_complete,
            planned=words.rounds(progress.rounds_planned),
        ),
        go_on=progress.ending.kind not in ("complete", "target", "budget"),
        command=command(report),
        settings=_settings(report),
        facts=_facts(report, trials),
        hosts=[(host.name, _host_cells(host.before, host.after, words)) for host in report.hosts],
        known=lambda value: words("unit.unknown") if value is None or value == "" else value,
    )


def command(report: Report) -> str:
    """Return the command that measures this again: the settings that differ from their defaults."""
    given = {f"{PREFIX}{name}": value for name, value in report.settings.items() if _changed(name, value)}
    if not given:
        return "ansible-playbook benchmark.yml"
    return f"ansible-playbook benchmark.yml -e {shlex.quote(json.dumps(given, ensure_ascii=False))}"


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


def _facts(report: Report, trials: Sequence[Trial]) -> list[tuple[str, list[str]]]:
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
    ]


def _host_cells(before: HostState | None, after: HostState | None, words: Words) -> list[str]:
    """Return model, temperature, clock, load, governor and throttling of a Pi."""
    state = before or after
    unknown = words("unit.unknown")

    def course(show: dict[bool, str | None]) -> str:
        first, last = (show[key] or unknown for key in (True, False))
        return first if first == last else f"{first}{_ARROW}{last}"

    def celsius(of: HostState | None) -> str | None:
        found = of.temperature_celsius if of else None
        return None if found is None else words("unit.celsius", value=f"{found:.1f}")

    def clock(of: HostState | None) -> str | None:
        if of is None:
            return None
        spread = words("unit.seconds", value=f"{of.clock_uncertainty_seconds:.3f}")
        return f"{of.clock_offset_seconds:+.3f} \N{PLUS-MINUS SIGN} {spread}"

    def load(of: HostState | None) -> str | None:
        return None if of is None or of.load_1_minute is None else f"{of.load_1_minute:.2f}"

    return [
        (state.model if state else None) or unknown,
        *(course({True: show(before), False: show(after)}) for show in (celsius, clock, load)),
        (words.listed(state.governors) if state else "") or unknown,
        _throttling(before, after, words),
    ]


def _throttling(before: HostState | None, after: HostState | None, words: Words) -> str:
    if throttled_words(before, after):
        return words("method.throttled_during")
    if any(state is None or state.throttled is None for state in (before, after)):
        return words("unit.unknown")
    return words("method.throttled_before" if before and before.throttled else "method.throttled_no")
