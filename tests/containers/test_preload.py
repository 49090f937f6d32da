"""An image that no registry has comes to each Pi by preload.yml, and a benchmark runs with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.cluster import PIS, Cluster
from virtual_cluster.containers.images import PAUSE, WORKER
from virtual_cluster.tests.rig import docker

IMAGE = "localhost/pi-speedup/preloaded:test"
FOLDER = "/var/lib/rancher/k3s/agent/images"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An archive of an image whose name the Pis have never heard of."""
    folder = tmp_path_factory.mktemp("preload")
    docker("tag", WORKER, IMAGE)
    docker("save", f"--output={folder / 'image.tar'}", IMAGE)
    yield folder / "image.tar"
    docker("rmi", IMAGE)


@pytest.fixture(autouse=True)
def without_it(cluster: Cluster) -> Iterator[None]:
    """Take the image, and the archive, from each Pi at the end."""
    yield
    for pi in PIS:
        cluster.on(pi, "ctr", "--namespace=k8s.io", "images", "rm", IMAGE)
    cluster.on(PIS[0], "sh", "-c", f"docker rmi {IMAGE} || true")
    outcome = cluster.play("preload.yml", preload_state="absent")
    assert outcome.exit_code == 0, outcome.output
    for pi in PIS:
        assert cluster.on(pi, "ls", "-A", FOLDER) == ""


def said(cluster: Cluster, archive: Path, **settings: object) -> list[str]:
    """Return what is said of the Pis, in the order of their names."""
    outcome = cluster.play("preload.yml", preload_archive=archive, benchmark_image=IMAGE, **settings)
    assert outcome.exit_code == 0, outcome.output
    return sorted(outcome.output.splitlines())


def test_each_pi_gets_it_once_and_a_benchmark_runs_with_it(cluster: Cluster, archive: Path) -> None:
    digest = docker("image", "inspect", "--format={{.Id}}", IMAGE)[:19]
    # Another image of this name is no reason to send nothing.
    cluster.on(PIS[0], "docker", "tag", PAUSE, IMAGE)
    cluster.on(PIS[1], "ctr", "--namespace=k8s.io", "images", "tag", PAUSE, IMAGE)
    assert said(cluster, archive) == [f"{pi}: has {IMAGE} now ({digest})" for pi in PIS]
    for pi in PIS:
        # The hidden one says that the archive is ours.
        assert cluster.on(pi, "ls", "-A", FOLDER) == ".pi-speedup.tar.sha256\npi-speedup.tar\n"
        assert cluster.on(pi, "sh", "-c", "ls -A ~pi/.ansible/tmp") == ""
    assert said(cluster, archive) == [f"{pi}: has {IMAGE} already ({digest})" for pi in PIS]
    outcome = cluster.play("benchmark.yml", benchmark_image=IMAGE)
    assert outcome.exit_code == 0, outcome.output
    cluster.clean_up()
