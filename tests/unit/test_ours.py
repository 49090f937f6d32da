"""Whether what is in the cluster already has all that a manifest sets."""

from __future__ import annotations

import pytest

from pi_kube.ours import holds

HOLDS = {
    "equal": ({"a": {"b": 1}}, True),
    "more is there": ({"a": {"b": 1, "c": 2}, "d": 3}, True),
    "a value differs": ({"a": {"b": 2}}, False),
    "a value is missing": ({"a": {}}, False),
    "another type": ({"a": [1]}, False),
}


@pytest.mark.parametrize(("found", "expected"), HOLDS.values(), ids=HOLDS)
def test_holds(found: object, expected: bool) -> None:
    assert holds(found, {"a": {"b": 1}}) is expected
