"""The page's words: one catalogue a language, and figures written with their units."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import get_args

from pi_speedup.codes import Code
from pi_speedup.model.plan import ALONE, ALONE_LONG, ALONE_ON, SLOW
from pi_speedup.model.report import Check, Comparison, Estimate, Report
from pi_speedup.model.settings import Settings
from pi_speedup.problem import refuse
from pi_speedup.text import one_line

LANGUAGES: tuple[str, ...] = get_args(Settings.model_fields["language"].annotation)
_TEXTS = Path(__file__).with_name("texts")
# What report.json says in English already, by code; a language that has no words for one shows those.
TITLES = "check."
# What a verdict is without its colour.
SIGNS = {
    "sound": "\N{CHECK MARK}",
    "doubtful": "!",
    "invalid": "\N{MULTIPLICATION X}",
    "none": "\N{EN DASH}",
}


class Words:
    """The texts of one language: `words("hero.kicker", pis="3 Pis")`. KeyError for one that is not there.

    ProblemError for a language that there is none of.
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise refuse(
                Code.SETTING_NOT_VALID, "language", f"{safe(language, 60)!r} is not {' or '.join(LANGUAGES)}"
            )
        self.language = language
        self.texts = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values filled in. Values are not read as formats, whatever they hold."""
        return self.texts[key].format_map(values)

    def check_title(self, check: Check) -> str:
        """Return the title of a check, in English for one that the language has no words for."""
        return self.texts.get(f"{TITLES}{check.code}", check.title)

    def pis(self, count: int) -> str:
        """Return `1 Pi`, `3 Pis`."""
        return self("unit.pi_one") if count == 1 else self("unit.pi_many", count=count)

    def runs(self, count: int) -> str:
        """Return `1 run`, `7 runs`."""
        return self("unit.run_one") if count == 1 else self("unit.run_many", count=count)

    def rounds(self, count: int) -> str:
        """Return `1 round`, `7 rounds`."""
        return self("unit.round_one") if count == 1 else self("unit.round_many", count=count)

    def number(self, value: float, digits: int = 2) -> str:
        """Return a number with thousands set apart."""
        return f"{value:,.{digits}f}"

    def seconds(self, value: float) -> str:
        """Return seconds, with digits that say something."""
        if abs(value) >= 1000:
            return self("unit.seconds", value=f"{value:,.0f}")
        digits = 2 if abs(value) >= 0.1 else 3
        return self("unit.seconds", value=f"{value:.{digits}f}")

    def percent(self, value: float, digits: int = 1) -> str:
        """Return a share as a percentage."""
        return self("unit.percent", value=f"{100 * value:.{digits}f}")

    def change(self, percent: float) -> str:
        """Return a change in percent with its sign: `+4.1%`."""
        return self("unit.percent", value=f"{percent:+.1f}".replace("-", "\N{MINUS SIGN}"))

    def span(self, low: str, high: str) -> str:
        """Return `1.71 to 2.48`."""
        return self("unit.to", low=low, high=high)

    def listed(self, texts: Iterable[str]) -> str:
        """Return texts joined as the language does."""
        return self("unit.list").join(texts)

    def range_of(self, estimate: Estimate, digits: int = 2, *, percent: bool = False) -> str:
        """Return the interval of an estimate, or what the rounds gave."""

        def shown(value: float) -> str:
            return self.percent(value) if percent else f"{value:.{digits}f}"

        found = estimate.interval
        if found is not None:
            return self(
                "hero.interval",
                level=self.percent(found.level, 0),
                range=self.span(shown(found.low), shown(found.high)),
            )
        if estimate.minimum == estimate.maximum:
            return self("hero.no_interval_one")
        return self("hero.no_interval", range=self.span(shown(estimate.minimum), shown(estimate.maximum)))

    def cell(self, report: Report, cell: str) -> str:
        """Return what a cell measures."""
        if cell == ALONE:
            return self("trials.alone", pi=report.base_pi)
        if cell == ALONE_LONG:
            return self("trials.alone_long", pi=report.base_pi)
        if cell.startswith(ALONE_ON):
            return self("trials.alone_on", pi=cell.removeprefix(ALONE_ON))
        count, _, kind = cell.removeprefix("together-").partition("-")
        if not count.isdecimal():
            return cell
        return self("trials.slow" if kind == SLOW else "trials.together", pis=self.pis(int(count)))

    def used(self, report: Report) -> str:
        """Return which part of a Pi worked."""
        count = processes(report)
        limit = report.settings.get("cpu_limit_cores", 1.0)
        whole = not isinstance(limit, (int, float)) or limit >= 1
        cores = {figure.cores for figure in report.pi_figures}
        kind = "one" if count == 1 else "all" if cores == {count} else "some"
        share = f"{limit:g}" if isinstance(limit, (int, float)) else ""
        return self(f"used.{kind}" if whole else f"used.{kind}_share", count=count, share=share)

    def idle(self, report: Report) -> str:
        """Return how many cores were idle."""
        count = processes(report)
        cores = [figure.cores for figure in report.pi_figures]
        known = sorted({each for each in cores if each is not None})
        if None in cores or not known:
            return self("idle.unknown")
        if known[-1] <= count:
            return self("idle.none")
        if len(known) == 1:
            return self("idle.some", idle=known[0] - count, cores=known[0])
        return self("idle.range", low=max(0, known[0] - count), high=known[-1] - count)


def catalogue(language: str) -> dict[str, str]:
    """Return the texts of a language by `section.key`."""
    return dict(_read(language))


def processes(report: Report) -> int:
    """Return how many processes each Pi ran; 1 where nothing was measured."""
    share = report.settings.get("samples_per_process")
    if not report.comparisons or not isinstance(share, int):
        return 1
    return max(1, report.comparisons[0].one_pi.samples // share)


def main_comparison(report: Report) -> tuple[Comparison, Estimate] | None:
    """Return the comparison that gives the speedup, and the speedup; None where there is none."""
    for each in report.comparisons:
        if each.speedup is not None:
            return each, each.speedup
    return None


def safe(text: object, limit: int = 600) -> str:
    """Return text from elsewhere as one harmless line."""
    return one_line(text, limit)


@cache
def _read(language: str) -> tuple[tuple[str, str], ...]:
    with (_TEXTS / f"{language}.toml").open("rb") as file:
        sections = tomllib.load(file)
    return tuple(
        (f"{section}.{key}", text) for section, keys in sections.items() for key, text in keys.items()
    )
