"""report.md: the template's own words are Markdown, every value that is put into it is escaped."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pi_speedup.model.host import HostState
from pi_speedup.model.report import Comparison, Estimate, Report
from pi_speedup.report.checks.pis import words as throttled_words
from pi_speedup.report.terminal import pi_words
from pi_speedup.report.words import estimate_words, pis_words, seconds_words
from pi_speedup.text import one_line

_NAMES = {
    "compute": "compute",
    "end_to_end": "end to end, all samples",
    "end_to_end_share": "end to end, one share",
}
_TEXT_LIMIT = 2000


def markdown(report: Report) -> str:
    """Return report.md; text that came from a cluster, a Pi or a log cannot add markup."""
    return _environment().get_template("report.md.j2").render(report=report)


def escape_markdown(text: object) -> str:
    """Return text as one line in which no character works as Markdown or HTML, nor as an automatic link."""
    line = re.sub(r"([\\`*_\[\]<>|~#!&$])", r"\\\1", one_line(text, _TEXT_LIMIT))
    # A list's mark, should the text come to stand at the beginning of a line.
    line = re.sub(r"^([-+]|\d+[.)])(?=\s|$)", r"\\\1", line)
    # GitHub links bare addresses and calls people by an @.
    line = re.sub(r"(?i)\b(https?|ftp)://", r"\1&#58;//", line)
    return re.sub(r"(?i)\bwww\.", "www&#46;", line).replace("@", "&#64;")


def _finalize(value: object) -> object:
    # Jinja's own escaping, for HTML, leaves Markup as it is. What a macro returns is Markup already.
    if value is None:
        raise TypeError("a template must say what to show where there is no value")
    return value if isinstance(value, Markup) else Markup(escape_markdown(value))  # nosec B704


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        code=_code,
        seconds=seconds_words,
        percent=lambda value, digits=1: f"{value:.{digits}%}",
        number=lambda value, digits=2: f"{value:.{digits}f}",
        thousands=lambda value: f"{value:,.0f}",
        estimate=_estimate,
        percent_estimate=_percent_estimate,
        known=lambda value: "unknown" if value is None or value == "" else value,
    )
    environment.globals.update(
        pis=pis_words,
        names=_NAMES,
        pi_words=pi_words,
        rounds=lambda count: "1 round" if count == 1 else f"{count} rounds",
        interval_words=_interval_words,
        host_cells=_host_cells,
        throttling=_throttling,
    )
    return environment


def _code(name: str) -> Markup:
    # Nothing in a check's code or a setting's name ends a span of code.
    return Markup(f"`{re.sub(r'[^a-z0-9_]', '', name)}`")  # nosec B704


def _estimate(estimate: Estimate, digits: int = 2) -> str:
    return f"{estimate.value:.{digits}f} ({estimate_words(estimate, digits)})"


def _percent_estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} ({estimate_words(estimate, percent=True)})"


def _interval_words(comparison: Comparison) -> str:
    interval = (comparison.speedup or comparison.efficiency).interval
    if interval is None:
        return f"no interval: {comparison.no_interval}"
    words = f"{interval.level:.0%} interval, paired by round on logarithms"
    if interval.quantile != interval.level:
        words += f", by the {interval.quantile:.0%} quantile, since the run stopped by its width"
    if comparison.clock_percent is not None and comparison.half_width_percent is not None:
        words += (
            f"; {comparison.half_width_percent:.2g}% to each side, "
            f"{max(0.0, comparison.clock_percent):.2g}% of it from the Pis' clocks"
        )
    return words


def _host_cells(before: HostState | None, after: HostState | None) -> list[str]:
    """Return temperature, clock offset and load before and after a run."""

    def temperature(state: HostState) -> str | None:
        found = state.temperature_celsius
        return None if found is None else f"{found:.1f} \N{DEGREE SIGN}C"

    def offset(state: HostState) -> str:
        return (
            f"{state.clock_offset_seconds:+.3f} s \N{PLUS-MINUS SIGN} {state.clock_uncertainty_seconds:.3f} s"
        )

    def load(state: HostState) -> str | None:
        return None if state.load_1_minute is None else f"{state.load_1_minute:.2f}"

    cells = []
    for value in (temperature, offset, load):
        first, last = ((state and value(state)) or "unknown" for state in (before, after))
        cells.append(first if first == last else f"{first} \N{RIGHTWARDS ARROW} {last}")
    return cells


def _throttling(before: HostState | None, after: HostState | None) -> str:
    found = throttled_words(before, after)
    if found:
        return "; ".join(found)
    told = [state is not None and state.throttled is not None for state in (before, after)]
    if not all(told):
        return "unknown"
    return "had been, before the run" if before and before.throttled else "no"
