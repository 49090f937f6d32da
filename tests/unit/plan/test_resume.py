"""A run goes on only with what it was begun with."""

from __future__ import annotations

from typing import Any

import pytest

from pi_speedup.model.settings import Settings
from pi_speedup.plan.resume import check_same
from pi_speedup.problem import ProblemError
from tests.unit.plan.factory import PIS, plan

SAME: dict[str, Any] = {"pis": PIS, "base_pi": "pi-1", "worker_sha256": "0" * 64}


def test_the_same_settings_go_on_wherever_the_kubeconfig_is() -> None:
    check_same(plan(rounds=5), Settings(rounds=5, kubeconfig="/elsewhere", run_id="x"), **SAME)


@pytest.mark.parametrize(
    ("settings", "changed", "words"),
    [
        (
            {"samples_per_process": 5000},
            {},
            r"benchmark_samples_per_process was 10000000 and is 5000.*-e benchmark_samples_per_process=1",
        ),
        ({"sweep": True}, {}, r"benchmark_sweep was false and is true"),
        ({"target_percent": 2}, {}, r"benchmark_target_percent was '' and is 2\.0"),
        ({}, {"pis": ("pi-1", "pi-2")}, r"the Pis were pi-1, pi-2, pi-3 and are pi-1, pi-2"),
        ({}, {"base_pi": "pi-2"}, r"pi-1 worked alone, now pi-2"),
        ({}, {"worker_sha256": "1" * 64}, r"files/pi_worker\.py has changed"),
    ],
    ids=["samples", "sweep", "target", "fewer Pis", "another Pi alone", "another worker"],
)
def test_what_differs_is_named(settings: dict[str, Any], changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        check_same(plan(), Settings(**settings), **{**SAME, **changed})
