"""Strict reading of JSON: every field typed, finite and in range, every error one line with its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from pi_speedup.plain import one_line

# Times outside are no measurement: below the clock's tick, or longer than 30 years.
MIN_SECONDS = 1e-9
MAX_SECONDS = 1e9
# 64-bit: what a worker can count, and what still divides to a finite float.
MAX_INTEGER = 2**63 - 1


def load_object(text: str, where: str, max_bytes: int) -> dict[str, object]:
    """Return the JSON object in `text`; ValueError naming `where` for anything else.

    Refused too: NaN and Infinity (Python's parser takes them, JSON has none), a key given twice, more than
    `max_bytes` bytes.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise ValueError(f"{where}: {size} bytes, more than the {max_bytes} expected")
    if not text.strip():
        raise ValueError(f"{where}: empty")

    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"{where}: {name} is no measurement")

    def refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError(f"{where}: a key is given twice")
        return found

    try:
        data = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=refuse_twice)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}: no valid JSON, perhaps cut off ({error.msg} at character {error.pos})"
        ) from None
    except RecursionError:
        raise ValueError(f"{where}: nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError(f"{where}: a JSON object is expected, not {one_line(repr(data), 40)}")
    return data


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object and the place it came from; each method reads one typed field or raises ValueError."""

    data: Mapping[str, object]
    where: str

    def fail(self, key: str, expected: str) -> NoReturn:
        """Raise the one-line error for a field that is absent or wrong."""
        if key not in self.data:
            raise ValueError(f"{self.where}: {key} is missing")
        raise ValueError(f"{self.where}: {key} must be {expected}, not {one_line(repr(self.data[key]), 60)}")

    def version(self, supported: int = 1) -> None:
        """Refuse a schema_version other than `supported`."""
        if self.integer("schema_version") != supported:
            self.fail("schema_version", f"{supported} (another version of pi-speedup wrote this)")

    def only(self, keys: frozenset[str]) -> None:
        """Refuse fields that the schema doesn't have: a later version or another program wrote them."""
        unknown = sorted(set(self.data) - keys)
        if unknown:
            raise ValueError(f"{self.where}: unknown field {one_line(repr(unknown[0]), 60)}")

    def text(self, key: str, pattern: str | None = None, limit: int = 256) -> str:
        """Read a string, matching `pattern` as a whole if given, at most `limit` characters."""
        value = self.data.get(key)
        if not isinstance(value, str):
            self.fail(key, "text")
        if pattern is not None and not re.fullmatch(pattern, value):
            self.fail(key, f"text of the form {pattern}")
        if len(value) > limit:
            self.fail(key, f"at most {limit} characters")
        return value

    def text_or_none(self, key: str, limit: int = 256) -> str | None:
        """Read a string or null."""
        return None if self._is_null(key) else self.text(key, limit=limit)

    def one_of(self, key: str, *choices: str) -> str:
        """Read a string that is one of `choices`."""
        value = self.data.get(key)
        if not isinstance(value, str) or value not in choices:
            self.fail(key, "one of " + ", ".join(choices))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of strings."""
        value = self.data.get(key)
        if not isinstance(value, list):
            self.fail(key, "a list of texts")
        texts = tuple(item for item in value if isinstance(item, str))
        if len(texts) != len(value):
            self.fail(key, "a list of texts")
        return texts

    def boolean(self, key: str) -> bool:
        """Read true or false."""
        value = self.data.get(key)
        if not isinstance(value, bool):
            self.fail(key, "true or false")
        return value

    def integer(self, key: str, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
        """Read a whole number from `minimum` to `maximum`."""
        value = self.data.get(key)
        # True is an int to Python.
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            self.fail(key, f"a whole number from {minimum} to {maximum}")
        return value

    def integer_or_none(self, key: str) -> int | None:
        """Read a whole number or null."""
        return None if self._is_null(key) else self.integer(key)

    def number(self, key: str, minimum: float, maximum: float) -> float:
        """Read a finite number from `minimum` to `maximum`."""
        value = self.data.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(key, "a number")
        if not math.isfinite(value) or not minimum <= value <= maximum:
            self.fail(key, f"a number from {minimum:g} to {maximum:g}")
        return float(value)

    def seconds(self, key: str) -> float:
        """Read a duration in seconds, above zero."""
        return self.number(key, MIN_SECONDS, MAX_SECONDS)

    def seconds_or_none(self, key: str) -> float | None:
        """Read a duration in seconds, above zero, or null."""
        return None if self._is_null(key) else self.seconds(key)

    def child(self, key: str) -> Fields:
        """Read a nested object."""
        return Fields(_as_object(self, key, self.data.get(key)), f"{self.where}: {key}")

    def children(self, key: str) -> tuple[Fields, ...]:
        """Read a list of objects."""
        value = self.data.get(key)
        if not isinstance(value, list):
            self.fail(key, "a list of objects")
        return tuple(
            Fields(_as_object(self, key, item), f"{self.where}: {key}[{index}]")
            for index, item in enumerate(value)
        )

    def _is_null(self, key: str) -> bool:
        # An absent field is no null: the writer didn't know of it.
        return key in self.data and self.data[key] is None


def _as_object(fields: Fields, key: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        fields.fail(key, "an object")
    return value
