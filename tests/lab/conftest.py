"""One lab for all tests of this folder: real Kubernetes, three virtual Pis of half a core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.owned import Place
from tests.lab.fault_proxy import FaultProxy, fault_proxy
from tests.lab.lab import Lab
from tests.lab.runs import make_place


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that is up, with no object of ours in it."""
    running = Lab(tmp_path_factory.mktemp("lab") / "lab")
    running.virtual_cluster("up", "--pis", "3", "--cpus", "0.5")
    yield running
    running.virtual_cluster("down")


@pytest.fixture
def kubeconfig(lab: Lab) -> Path:
    """The lab's own kubeconfig."""
    return lab.folder / "kubeconfig"


@pytest.fixture
def direct(kubeconfig: Path) -> Iterator[KubeClient]:
    """A client of the lab's API server with nothing in between."""
    with KubeClient(kubeconfig) as client:
        yield client


@pytest.fixture
def proxy(kubeconfig: Path, tmp_path: Path) -> Iterator[FaultProxy]:
    """A proxy before the lab's API server, honest until it is given faults."""
    with fault_proxy(kubeconfig, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def place(lab: Lab) -> Place:
    """A namespace for trials, with the owner in it."""
    with KubeClient(lab.folder / "kubeconfig") as client:
        return make_place(client)
