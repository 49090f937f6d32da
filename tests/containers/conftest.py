"""One cluster for all tests of this folder: three Pis in containers, of half a core each."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.containers.cluster import Cluster


def what_is_missing() -> str | None:
    """Return why no containers can be started here, None if they can."""
    if shutil.which("docker") is None:
        return "there is no docker here"
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        return "no Docker daemon answers here"
    if os.geteuid() != 0:
        return "these tests mount and look into the containers' cgroups, which needs root"
    return None


@pytest.fixture(scope="session", autouse=True)
def _needs() -> None:
    missing = what_is_missing()
    if missing and os.environ.get("CI"):
        pytest.fail(f"{missing}; where CI is set nothing is skipped")
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def cluster(_needs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Containers that are up, with no object of ours in them."""
    running = Cluster(tmp_path_factory.mktemp("containers") / "cluster", f"test-{os.getpid()}-")
    try:
        running.virtual_cluster("up", "--prefix", running.prefix)
        yield running
    finally:
        running.virtual_cluster("down")
