"""Every sentence of a report, once a language: `en.toml`, `zh-TW.toml`. Values are filled in by name.

`[check.starved]` with `title = "…"` is the key `check.starved.title`. A text that depends on a number is a
table of CLDR's plural categories, `{one = "1 Pi", other = "{count} Pis"}`, chosen by its value `count`. How a
number is written stands in the text, as Python writes it: `{share:.1%}`. Several texts are joined as the
language does, or by what the text says, at most five of them or as many as it says: `{found:; }`,
`{names:, |9}`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from pi_speedup.codes import Code
from pi_speedup.problem import refuse
from pi_speedup.text import one_line

Language = Literal["en", "zh-TW"]
# What work is counted in: a row of the table `[unit]`.
Unit = Literal["sample", "run", "job"]
LANGUAGES: tuple[str, ...] = get_args(Language)
# What a text may say of the unit without being given it.
_OF_UNIT = (
    *("units", "rate_short", "rate_long", "rate_words", "rate_axis"),
    # What the first factor of the efficiency is.
    *("first_loss", "first_factor"),
)
# By how much its texts differ from the unit a second: in a sentence, and on an axis.
_SCALES: dict[Unit, tuple[float, float]] = {
    "sample": (1, 1e-6),
    "run": (3600, 3600),
    "job": (3600, 3600),
}
_LONGEST = 2000
_MOST_LISTED = 5


class Message(str):
    """A sentence as its key and values. As a text it is the English one, which report.json has.

    Such a text travels through models and files as any other. Read back from a file it is its English alone.
    The idea is that of `zope.i18nmessageid.Message`.
    """

    key: str
    values: Mapping[str, object]

    def __new__(cls, key: str, **values: object) -> Message:
        """Return the sentence; KeyError for a key or a value that is not there."""
        made = super().__new__(cls, one_line(filled("en", key, values), _LONGEST))
        made.key, made.values = key, values
        return made


class Catalogue:
    """The words of one language: `words("hero.kicker", pis="3 Pis")`, and figures with their units.

    `unit` is that of the work; each text may name it as `_OF_UNIT` does.
    KeyError for a text that is not there, ProblemError for a language that is not.
    """

    def __init__(self, language: str, unit: Unit = "sample") -> None:
        self.language, self._texts = language, catalogue(language)
        self._names = {name: self._texts[f"unit.{unit}.{name}"] for name in _OF_UNIT}
        self._unit = unit

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values filled in."""
        return filled(self.language, key, {**self._names, **values})

    def say(self, text: str) -> str:
        """Return a message in this language, any other text as it is."""
        return translated(self.language, text)

    def speaks(self, text: str) -> bool:
        """Say whether a text is, or can be said, in this language."""
        return self.language == "en" or isinstance(text, Message)

    def count(self, noun: str, count: int) -> str:
        """Return `1 Pi`, `3 Pis`."""
        return self(f"noun.{noun}", count=count)

    def work(self, count: float) -> str:
        """Return an amount of work: `7 runs`."""
        return self(f"unit.{self._unit}", count=count)

    def rate(self, value: float) -> str:
        """Return how much work is done, given a second's: `7 runs/h`."""
        return self(f"unit.{self._unit}.rate", value=self.rate_number(value))

    def rate_number(self, value: float) -> str:
        """Return the number of such a rate."""
        scaled = value * _SCALES[self._unit][0]
        return self.number(scaled, 0 if scaled >= 100 else 1)

    def on_axis(self, value: float) -> float:
        """Return a rate as an axis has it."""
        return value * _SCALES[self._unit][1]

    def number(self, value: float, digits: int = 2) -> str:
        """Return a number with thousands set apart."""
        return f"{value:,.{digits}f}"

    def seconds(self, value: float) -> str:
        """Return seconds, with digits that say something."""
        digits = 0 if abs(value) >= 1000 else 2 if abs(value) >= 0.1 else 3
        return self("unit.seconds", value=self.number(value, digits))

    def percent(self, value: float, digits: int = 1) -> str:
        """Return a share as a percentage."""
        return self("unit.percent", value=f"{100 * value:.{digits}f}")

    def change(self, percent: float) -> str:
        """Return a change in percent with its sign: `+4.1%`."""
        return self("unit.percent", value=f"{percent:+.1f}".replace("-", "\N{MINUS SIGN}"))

    def span(self, low: str, high: str) -> str:
        """Return `1.71 to 2.48`."""
        return self("unit.to", low=low, high=high)

    def listed(self, texts: Iterable[str], most: int | None = None) -> str:
        """Return texts joined as the language does; at most so many, and how many more there are."""
        return joined(self.language, texts, most=most)

    def known(self, value: object) -> object:
        """Return a value, or the word for one that is not known."""
        return self("unit.unknown") if value is None or value == "" else value


def filled(language: str, key: str, values: Mapping[str, object]) -> str:
    """Return a text with its values filled in. Values are not read as formats, whatever they hold."""
    texts = catalogue(language)
    if key not in texts:
        one = f"{key}.one"
        key = one if values.get("count") == 1 and one in texts else f"{key}.other"
    return texts[key].format_map({name: _shown(language, value) for name, value in values.items()})


def translated(language: str, text: str) -> str:
    """Return a message in a language, any other text as it is."""
    if language == "en" or not isinstance(text, Message):
        return text
    return one_line(filled(language, text.key, text.values), _LONGEST)


def joined(language: str, texts: Iterable[str], separator: str = "", most: int | None = None) -> str:
    """Return texts joined by `separator`, or as the language does; at most so many, and how many more."""
    found = [translated(language, text) for text in texts]
    shown = (separator or catalogue(language)["unit.list"]).join(found[:most])
    more = len(found) - len(found[:most])
    return filled(language, "unit.more", {"shown": shown, "count": more}) if more else shown


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the texts of a language by their keys; ProblemError for a language that there is none of."""
    if language not in LANGUAGES:
        named = f"{one_line(language, 60)!r} is not {' or '.join(LANGUAGES)}"
        raise refuse(Code.SETTING_NOT_VALID, "language", named)
    with Path(__file__).with_name(f"{language}.toml").open("rb") as file:
        return dict(_flat(tomllib.load(file)))


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield f"{above}{name}", value
        else:
            yield from _flat(value, f"{above}{name}.")


def _shown(language: str, value: object) -> object:
    if isinstance(value, str):
        return translated(language, value)
    return _Several(language, value) if isinstance(value, (tuple, list)) else value


class _Several:
    """Some texts as a value: what follows the colon says how they are joined, and how many."""

    def __init__(self, language: str, texts: Iterable[object]) -> None:
        self._language, self._texts = (
            language,
            [text if isinstance(text, str) else str(text) for text in texts],
        )

    def __format__(self, how: str) -> str:
        separator, _, most = how.partition("|")
        return joined(self._language, self._texts, separator, int(most or _MOST_LISTED))
