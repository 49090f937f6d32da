"""report.md: the template's own words are Markdown, every value that is put into it is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.report import Comparison, Estimate, Report
from pi_speedup.model.trial import Trial
from pi_speedup.report.wording import (
    budget,
    estimate,
    host_name,
    left_out,
    outcome,
    pis_of,
    readings,
    session_words,
    slowest_pi,
)
from pi_speedup.report.workload import own_section
from pi_speedup.text import one_line

_TEXT_LIMIT = 2000


def markdown(report: Report, trials: Sequence[Trial], words: Catalogue) -> str:
    """Return report.md; text that came from a cluster, a Pi or a log cannot add markup."""

    def estimated(of: Estimate, digits: int = 2, percent: bool = False) -> str:
        value = words.percent(of.value) if percent else f"{of.value:.{digits}f}"
        return words("estimate.value", value=value, estimate=estimate(of, digits, percent))

    def interval(comparison: Comparison) -> str:
        return _interval(comparison, words)

    return (
        _environment()
        .get_template("report.md.j2")
        .render(
            report=report,
            t=words,
            estimated=estimated,
            interval=interval,
            pis=words.say(pis_of(len(report.pis), len(report.left_out))),
            left_out=left_out(report, words),
            slowest_pi=slowest_pi,
            budget=budget,
            host_name=host_name,
            sessions=[session_words(each, words) for each in report.sessions],
            own=own_section(report, words),
            outcome=lambda each: outcome(each, words),
            readings=lambda host: readings(host.before, host.after, words),
        )
    )


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
    environment.filters["code"] = _code
    return environment


def _code(name: str) -> Markup:
    # Nothing in a check's code or a setting's name ends a span of code.
    return Markup(f"`{re.sub(r'[^a-z0-9_]', '', name)}`")  # nosec B704


def _interval(comparison: Comparison, words: Catalogue) -> str:
    interval = (comparison.speedup or comparison.efficiency).interval
    if interval is None:
        return words("md.no_interval", why=comparison.no_interval or "")
    said = words("md.interval", level=interval.level)
    if interval.quantile != interval.level:
        said += words("md.quantile", quantile=interval.quantile)
    if comparison.clock_percent is not None and comparison.half_width_percent is not None:
        clocks = max(0.0, comparison.clock_percent)
        said += words("md.clocks", width=comparison.half_width_percent, clocks=clocks)
    elif comparison.name == "compute":
        said += words("md.clocks_unknown", width=comparison.half_width_percent)
    return said
