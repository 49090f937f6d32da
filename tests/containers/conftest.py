"""One cluster for all tests of this folder: three Pis in containers, of half a core each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers.cluster import Cluster
from virtual_cluster.tests.rig import require_containers


@pytest.fixture(scope="session", autouse=True)
def _needs() -> None:
    require_containers()


@pytest.fixture(scope="session")
def cluster(_needs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Containers that are up, with no object of ours in them."""
    running = Cluster(tmp_path_factory.mktemp("containers") / "cluster")
    try:
        running.virtual_cluster("up")
        yield running
    finally:
        running.virtual_cluster("down")
