"""Who measures, on a real API server: a second is refused, a dead claim runs out, a thief is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from pi_speedup.kube.access.client import Json, KubeClient
from pi_speedup.kube.owned import lease as lease_module
from pi_speedup.kube.owned.lease import LEASE_NAME, hold, who_measures
from pi_speedup.kube.owned.owned import Place, is_owned
from pi_speedup.problem import ProblemError
from tests.lab.fault_proxy import ALWAYS, Fault, FaultProxy, answers, does_it_but, hangs, resets
from tests.lab.runs import make_place
from tests.virtual import await_that


@pytest.fixture
def place(direct: KubeClient) -> Place:
    """A namespace in which nobody measures."""
    return make_place(direct)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew so often that a test sees it."""
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.1)


def lease(client: KubeClient, place: Place) -> Json | None:
    return client.find(f"{place.leases}/{LEASE_NAME}")


def renewed(client: KubeClient, place: Place) -> str:
    found = lease(client, place)
    return str(found["spec"]["renewTime"]) if found else ""


def test_a_claim_is_held_renewed_and_released(direct: KubeClient, place: Place) -> None:
    with hold(direct, place, "ann@laptop", "run-1") as claim:
        there = lease(direct, place)
        assert there is not None
        assert is_owned(there, direct.get(place.owner_path)["metadata"]["uid"])
        first = renewed(direct, place)
        await_that(lambda: renewed(direct, place) > first, "the claim is renewed")
        claim.check()
        counted = who_measures(direct, place)
        assert counted is not None and (counted.run_id, counted.holder) == ("run-1", "ann@laptop")
    assert lease(direct, place) is None
    assert who_measures(direct, place) is None


@pytest.mark.fault(
    "Lease held by another run",
    "another benchmark is measuring: run run-1 by ann@laptop since 12:00, its claim "
    "counts until 12:00:40 [PS-421]. Next: wait for it; if it is dead, its claim runs out"
    " by itself at 12:00:40",
    kept="nothing begun; the first run is undisturbed",
)
def test_the_second_is_refused_and_the_first_undisturbed(direct: KubeClient, place: Place) -> None:
    with hold(direct, place, "ann@laptop", "run-1") as claim:
        before = lease(direct, place)
        with (
            pytest.raises(
                ProblemError, match="another benchmark is measuring: run run-1 by ann@laptop since"
            ),
            hold(direct, place, "bob@desk", "run-2"),
        ):
            pass
        after = lease(direct, place)
        assert before is not None and after is not None
        assert before["metadata"]["uid"] == after["metadata"]["uid"]
        claim.check()


def run_out(client: KubeClient, place: Place) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    client.patch(f"{place.leases}/{LEASE_NAME}", {"spec": {"renewTime": past}})


@pytest.fixture
def dead(direct: KubeClient, place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A holder that was killed, long ago."""
    with monkeypatch.context() as patch:
        patch.setattr(lease_module, "RENEW_SECONDS", 3600.0)
        with hold(direct, place, "ann@laptop", "run-1"):
            run_out(direct, place)
            yield


@pytest.mark.fault("Lease stale", "survived", kept="all")
@pytest.mark.usefixtures("dead")
def test_a_dead_holders_claim_is_taken_over(direct: KubeClient, place: Place) -> None:
    assert who_measures(direct, place) is None
    with hold(direct, place, "bob@desk", "run-2"):
        counted = who_measures(direct, place)
        assert counted is not None and counted.run_id == "run-2"


@pytest.mark.fault(
    "Lease stolen",
    "this benchmark's claim on the cluster: taken over by run run-2 by bob@desk since "
    "12:00, its claim counts until 12:00:40 [PS-422]. Next: see who else measures there, "
    "then ansible-playbook …",
    kept="trials",
)
def test_who_was_taken_over_notices(direct: KubeClient, place: Place) -> None:
    with hold(direct, place, "ann@laptop", "run-1") as claim:
        there = lease(direct, place)
        assert there is not None
        direct.delete(f"{place.leases}/{LEASE_NAME}", there["metadata"]["uid"], "Background")
        with hold(direct, place, "bob@desk", "run-2"):
            await_that(lambda: claim.lost, "the loss is noticed")
            with pytest.raises(ProblemError, match=r"taken (over by run run-2|away)"):
                claim.check()
        # And what is another's by now is not released.
    assert lease(direct, place) is None


RENEWALS = {
    "refused": Fault("PATCH", answers(503), times=20),
    "broken off": Fault("PATCH", resets, times=20),
    "silent": Fault("PATCH", hangs),
}


@pytest.mark.fault("Lease that cannot be renewed for a while", "survived", kept="all", row="refused")
@pytest.mark.fault("Lease that cannot be renewed for a while", row=["broken off", "silent"])
@pytest.mark.parametrize("fault", RENEWALS.values(), ids=RENEWALS)
def test_renewals_that_fail_for_a_while_are_tolerated(
    fault: Fault, proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    with KubeClient(proxy.kubeconfig) as client, hold(client, place, "ann@laptop", "run-1") as claim:
        proxy.faults.append(fault)
        first = renewed(direct, place)
        await_that(lambda: renewed(direct, place) > first, "the claim is renewed again")
        assert fault in proxy.injected
        claim.check()


def test_a_claim_whose_creation_got_no_answer_is_ours(
    proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    proxy.faults.append(Fault("POST /leases", does_it_but(resets)))
    with KubeClient(proxy.kubeconfig) as client, hold(client, place, "ann@laptop", "run-1") as claim:
        claim.check()
        assert lease(direct, place) is not None
    assert lease(direct, place) is None


def test_a_release_that_gets_no_answer_takes_no_time(
    proxy: FaultProxy, direct: KubeClient, place: Place
) -> None:
    with KubeClient(proxy.kubeconfig) as client, hold(client, place, "ann@laptop", "run-1"):
        fault = Fault("DELETE", hangs, ALWAYS)
        proxy.faults.append(fault)
    # Asked for once: it runs out by itself.
    assert proxy.injected.count(fault) == 1
