"""One lab for all tests of this folder that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from virtual_cluster.tests.rig import LabRig


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabRig]:
    """Three virtual Pis of half a core that are Ready."""
    running = LabRig(tmp_path_factory.mktemp("lab") / "lab")
    running.virtual_cluster("up", "--pis", "3", "--cpus", "0.5")
    yield running
    running.virtual_cluster("down")
