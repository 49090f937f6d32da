"""What the build reads and how it names its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtual_cluster import binary


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("go version go1.26.8 linux/amd64\n", (1, 26, 8)),
        ("go version go1.27 linux/arm64", (1, 27)),
        ("go version go1.27rc1 linux/arm64", (1, 27)),
        ("", ()),
        ("sh: go: broken", ()),
    ],
    ids=["release", "without patch level", "release candidate", "silent", "no version"],
)
def test_parse_go_version(output: str, version: tuple[int, ...]) -> None:
    assert binary.parse_go_version(output) == version


def test_go_mod_says_versions() -> None:
    go_mod = "module x\n\ngo 1.24.0\n\nrequire (\n\tk8s.io/api v0.34.4\n\tk8s.io/kubernetes v1.34.4\n)\n"
    assert binary.module_version(go_mod) == "v1.34.4"
    assert binary.minimum_go(go_mod) == (1, 24, 0)


def test_go_mod_without_kubernetes_is_refused() -> None:
    with pytest.raises(ValueError, match="does not require"):
        binary.module_version("module x\n\ngo 1.24.0\n")


def test_staging_modules_are_of_the_same_release() -> None:
    go_mod = (binary.SOURCES / "go.mod").read_text()
    staging = binary.module_version(go_mod).replace("v1.", "v0.", 1)
    replaced = [line.split()[-1] for line in go_mod.splitlines() if " => k8s.io/" in line]
    assert len(replaced) == 31
    assert set(replaced) == {staging}


def test_linker_flags_carry_the_version() -> None:
    flags = binary.linker_flags("v1.34.4")
    for setting in ("gitVersion=v1.34.4", "gitMajor=1", "gitMinor=34"):
        assert f"-X k8s.io/component-base/version.{setting}" in flags


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_CACHE_HOME": "/somewhere"}, Path("/somewhere/pi-speedup")),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/pi-speedup"),
        ({}, Path.home() / ".cache/pi-speedup"),
    ],
    ids=["set", "relative is ignored", "unset"],
)
def test_cache_folder(environment: dict[str, str], folder: Path) -> None:
    assert binary.cache_folder(environment) == folder


def test_key_follows_the_sources_and_nothing_else(tmp_path: Path) -> None:
    for name in ("main.go", "go.mod", "go.sum"):
        (tmp_path / name).write_text(name)
    key = binary.source_key(tmp_path)
    (tmp_path / "notes.txt").write_text("not part of the build")
    assert binary.source_key(tmp_path) == key
    (tmp_path / "go.sum").write_text("other")
    assert binary.source_key(tmp_path) != key
