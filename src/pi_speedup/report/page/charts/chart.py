"""One chart: in both widths, and how far its axis reaches. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from pi_speedup.model.report import Estimate
from pi_speedup.report.page.sheet import Sheet

NARROW, WIDE, HERO = 340.0, 700.0, 540.0


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in both widths, with the title and the description that both carry."""

    name: str
    title: str
    description: str
    narrow: str
    wide: str


def finished(
    name: str, title: str, description: str, draw: Callable[[float], Sheet], broad: float = WIDE
) -> Chart:
    """Return a chart in both widths; `draw` is given each."""
    narrow, wide = (
        draw(width).svg(f"{name}-{kind}", title, description) for kind, width in (("n", NARROW), ("w", broad))
    )
    return Chart(name, title, description, narrow, wide)


def ends_of(estimate: Estimate) -> tuple[float, float]:
    """Return the ends of an estimate's interval, or its least and largest round."""
    if estimate.interval is not None:
        return estimate.interval.low, estimate.interval.high
    return estimate.minimum, estimate.maximum


def widen(axes: Axes, values: Sequence[float], also: float | None) -> None:
    """Show all values with some room, and not so near that noise of a thousandth fills the chart."""
    every = [*values, also] if also is not None else list(values)
    low, high = min(every), max(every)
    least = 0.05 * abs(high)
    room = 0.08 * max(high - low, least)
    middle, half = (low + high) / 2, max(high - low, least) / 2
    axes.set_xlim(middle - half - room, middle + half + room)


def few(said: Sequence[str]) -> Sequence[str]:
    """Return what a description bears: all of some, the first of many."""
    return said if len(said) <= 12 else [*said[:12], "…"]
