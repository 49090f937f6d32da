"""Pages of several runs: `history --html` and `compare --html`."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from pi_speedup import __version__
from pi_speedup.catalogue import Catalogue, Message
from pi_speedup.model.compared import Compared, History, Past
from pi_speedup.model.report import Estimate, Report
from pi_speedup.plan.progress import LEAST_ROUNDS
from pi_speedup.report.page.document import document
from pi_speedup.report.wording import SIGNS
from pi_speedup.runs.charts import MOST_RUNS, compared_charts, history_charts
from pi_speedup.runs.history import LEAST_EQUAL_RUNS

_TEMPLATES = Path(__file__).with_name("templates")
_TOOL = "pi-speedup"
# The colour of an answer is that of a verdict which is as good.
_TONES = {
    "faster": "sound",
    "slower": "invalid",
    "equal": "none",
    "no_evidence": "doubtful",
    "not_comparable": "invalid",
}


def history_page(history: History, rates: Sequence[Estimate | None], words: Catalogue) -> str:
    """Return the page of all runs; `rates` are how much a second all Pis did in each run."""
    runs = history.runs
    states = [_state(run) for run in runs]
    return document(
        _TEMPLATES / "history.html.j2",
        words,
        f"{_TOOL} {__version__}",
        "history",
        history,
        charts=history_charts(runs, rates, words),
        counts=words(
            "history.counts",
            runs=words.count("run", len(runs)),
            **{state: states.count(state) for state in SIGNS},
        ),
        newest=words("history.newest", count=words.count("run", MOST_RUNS)) if len(runs) > MOST_RUNS else "",
        rows=[
            (run, _cells(run, rate, words), state)
            for run, rate, state in zip(runs, rates, states, strict=True)
        ],
        caveats=[
            (words.listed([run.run_id for run in runs if run.caveat == caveat], most=3), caveat)
            for caveat in sorted({run.caveat for run in runs if run.caveat})
        ],
        footer=words("history.footer", tool=_TOOL, version=__version__),
    )


def compared_page(found: Compared, a: Report, b: Report, words: Catalogue) -> str:
    """Return the page of two runs that were compared."""
    stopping = [each for each in found.unlike if not each.despite]
    change = found.together
    interval = ""
    if change is not None and change.low is not None and change.high is not None:
        interval = words(
            "compare.interval", range=words.span(words.change(change.low), words.change(change.high))
        )
    return document(
        _TEMPLATES / "compare.html.j2",
        words,
        f"{_TOOL} {__version__}",
        "compared",
        found,
        found=found,
        sides=(("A", found.a), ("B", found.b)),
        # What cannot be compared has no change that one may look at.
        charts={} if stopping else compared_charts(found, a, b, words),
        tone=_TONES[found.outcome],
        lead=_lead(found, words),
        stopping=stopping,
        interval=interval,
        rows=_rows(found, words),
        margin=words(
            "margin.given" if found.margin.given else "margin.default",
            percent=_percent(found.margin.percent, words),
        ),
        sessions=_sessions(found, words),
        passed_over=[each for each in found.unlike if each.despite],
        command=_command(found, [each.name for each in found.unlike if each.despite]),
        footer=words("history.footer", tool=_TOOL, version=__version__),
    )


def _state(run: Past) -> str:
    return "none" if run.speedup is None else str(run.verdict)


def _cells(run: Past, rate: Estimate | None, words: Catalogue) -> dict[str, str]:
    nothing = words("unit.none")
    state = _state(run)
    why = [run.ending, *run.reasons] if run.ending else run.reasons
    verdict = words("outcome.unread" if run.problem is not None else f"outcome.{state}")
    return {
        "made": _moment(run.made_at, nothing),
        "pis": nothing
        if run.pis is None
        else words("history.some_pis", count=run.pis, all=run.pis + run.left_out)
        if run.left_out
        else str(run.pis),
        "rounds": nothing if run.pis is None else f"{run.rounds_complete}/{run.rounds_planned}",
        "speedup": nothing if run.speedup is None else words.number(run.speedup),
        "interval": nothing
        if run.interval is None
        else words.span(words.number(run.interval.low), words.number(run.interval.high)),
        "rate": nothing if rate is None else words.rate_number(rate.value),
        "seconds": nothing if run.seconds is None else words.seconds(run.seconds),
        "verdict": f"{SIGNS[state]} {verdict}",
        "why": run.problem or (Message("check.found", found=why) if why else nothing),
    }


def _lead(found: Compared, words: Catalogue) -> str:
    if found.outcome == "not_comparable":
        return words("outcome.not_comparable_words")
    change = found.together
    if change is None or change.low is None:
        return " ".join(
            words(
                "compare.few",
                run=side.run_id,
                count=words.count("round", side.rounds),
                least=words.count("round", LEAST_ROUNDS),
            )
            for side in (found.a, found.b)
            if side.rounds < LEAST_ROUNDS
        )
    return words(
        f"outcome.{found.outcome}_words",
        percent=words.percent(abs(change.percent) / 100),
        margin=_percent(found.margin.percent, words),
    )


def _rows(found: Compared, words: Catalogue) -> list[tuple[str, str, str, str]]:
    nothing = words("unit.none")

    def both(key: str, of_a: str, of_b: str, change: str = "", **values: object) -> tuple[str, str, str, str]:
        return words(key, **values), of_a, of_b, change

    def seconds(value: float | None) -> str:
        return nothing if value is None else words.seconds(value)

    comparable = found.outcome != "not_comparable"
    together = words.change(found.together.percent) if found.together and comparable else ""
    alone = words.change(found.alone.percent) if found.alone and comparable else ""
    return [
        both("compare.run", found.a.run_id, found.b.run_id),
        both("compare.made", *(_moment(side.made_at, nothing) for side in (found.a, found.b))),
        both("compare.rounds", str(found.a.rounds), str(found.b.rounds)),
        both(
            "compare.together",
            seconds(found.a.together_seconds),
            seconds(found.b.together_seconds),
            together,
            pis=words.count("pi", len(found.a.pis)),
        ),
        both(
            "compare.alone",
            seconds(found.a.alone_seconds),
            seconds(found.b.alone_seconds),
            words("compare.for_information", change=alone) if alone else "",
        ),
        both(
            "compare.verdict",
            *(f"{SIGNS[side.verdict]} {words(f'outcome.{side.verdict}')}" for side in (found.a, found.b)),
        ),
    ]


def _sessions(found: Compared, words: Catalogue) -> str:
    scatter = found.sessions.sd_percent
    return words(
        "sessions.unknown" if scatter is None else "sessions.known",
        runs=words.count("equal_run", found.sessions.runs),
        least=LEAST_EQUAL_RUNS,
        sd="" if scatter is None else _percent(scatter, words),
    )


def _command(found: Compared, despite: Collection[str]) -> str:
    words = ["python", "-m", "pi_speedup", "compare", found.a.run_id, found.b.run_id]
    if despite:
        words += ["--despite", ",".join(dict.fromkeys(despite))]
    if found.margin.given:
        words += ["--margin", f"{found.margin.percent:g}"]
    return shlex.join(words)


def _percent(percent: float, words: Catalogue) -> str:
    return words("unit.percent", value=f"{percent:.3g}")


def _moment(made_at: str | None, nothing: str) -> str:
    return nothing if made_at is None else made_at[:16].replace("T", " ")
