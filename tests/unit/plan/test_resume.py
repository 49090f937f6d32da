"""A run goes on only with what it was begun with."""

from __future__ import annotations

from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.plan import LeftOut
from pi_speedup.model.settings import Settings
from pi_speedup.plan.resume import check_same, check_same_systems
from pi_speedup.problem import Problem, ProblemError
from tests.unit.plan.factory import PIS, plan

SAME: dict[str, Any] = {"pis": PIS, "base_pi": "pi-1", "worker_sha256": "0" * 64}


def test_the_same_settings_go_on_wherever_the_kubeconfig_is() -> None:
    check_same(plan(rounds=5), Settings(rounds=5, kubeconfig="/elsewhere", run_id="x"), **SAME)


DEGRADED = plan(("pi-1", "pi-2")).model_copy(
    update={
        "left_out": (
            LeftOut(pi="pi-3", problem=Problem(code=Code.SSH_UNREACHABLE, subject="pi-3", what="away")),
        )
    }
)


def test_a_run_that_left_a_pi_out_goes_on_without_it() -> None:
    check_same(DEGRADED, Settings(), **SAME)


OTHER_PIS = {
    "the one left out is gone": (("pi-1", "pi-2"), r"were pi-1, pi-2, pi-3 \(left out\) and are pi-1, pi-2"),
    "one that measured is gone": (("pi-1", "pi-3"), r"and are pi-1, pi-3"),
    "there is one more": ((*PIS, "pi-4"), r"and are pi-1, pi-2, pi-3, pi-4"),
}


@pytest.mark.parametrize(("pis", "words"), OTHER_PIS.values(), ids=OTHER_PIS)
def test_a_run_that_left_a_pi_out_is_one_of_these_pis(pis: tuple[str, ...], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        check_same(DEGRADED, Settings(), **{**SAME, "pis": pis})


@pytest.mark.parametrize(
    ("settings", "changed", "words"),
    [
        (
            {"samples_per_process": 5000},
            {},
            r"benchmark_samples_per_process was '' and is 5000.*-e benchmark_samples_per_process=''",
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


def nodes(**changed: Any) -> Nodes:
    known = {"kernel_version": "6.6.31", "kubelet_version": "v1.33.5+k3s1", "os_image": None, "cores": 4}
    pis = [Node.model_validate({"name": pi, **known}) for pi in PIS]
    return Nodes(nodes=(*pis[:-1], pis[-1].model_copy(update=changed)), not_in_inventory=())


LATER: dict[str, tuple[dict[str, Any], str]] = {
    "another kernel": ({"kernel_version": "6.12.9"}, "pi-3's kernel was 6.6.31 and is 6.12.9"),
    "another K3s": (
        {"kubelet_version": "v1.34.1+k3s1"},
        "pi-3's kubelet was v1.33.5+k3s1 and is v1.34.1+k3s1",
    ),
    "another Pi of this name": ({"cores": 2}, "pi-3's number of cores was 4 and is 2"),
}


@pytest.mark.fault(
    "a run goes on weeks later, with another kernel",
    "run …: cannot go on, its plan differs: pi-3's kernel was 6.6.31 and is 6.12.9 [PS-712]. "
    "Next: leave benchmark_run_id out to begin a new run",
    kept="all of the run as it was",
    row="another kernel",
)
@pytest.mark.parametrize(("changed", "words"), LATER.values(), ids=LATER)
def test_weeks_later_the_pis_must_be_what_they_were(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ProblemError) as caught:
        check_same_systems(plan(), nodes(), nodes(**changed))
    assert f"its plan differs: {words} [PS-712]. Next: leave benchmark_run_id out" in str(caught.value)


def test_what_the_cluster_does_not_say_is_no_difference() -> None:
    check_same_systems(plan(), nodes(), nodes())
    check_same_systems(plan(), nodes(), nodes(kernel_version=None, os_image="Debian"))
