"""One cluster for all tests of this folder: three Pis in containers, of half a core each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from virtual_cluster.tests.rig import ContainerRig, require_containers


@pytest.fixture(scope="session", autouse=True)
def _needs() -> None:
    require_containers()


@pytest.fixture(scope="session")
def cluster(_needs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerRig]:
    """Containers that are up."""
    running = ContainerRig(tmp_path_factory.mktemp("containers") / "cluster")
    try:
        running.virtual_cluster("up")
        yield running
    finally:
        running.virtual_cluster("down")
