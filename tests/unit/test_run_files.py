"""Files of a run: private, whole or absent, inside their folder."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from pi_speedup.run_files import link_as_latest, remove_private, write_files


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_text_and_data_are_written_privately(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "r1"
    written = write_files(run, {"report.md": "# π\n", "results/pod-0.json": {"inside": 3}})
    assert written == ["report.md", "results/pod-0.json"]
    assert (run / "report.md").read_text() == "# π\n"
    assert json.loads((run / "results/pod-0.json").read_text()) == {"inside": 3}
    assert {mode(run), mode(run / "results")} == {0o700}
    assert {mode(run / "report.md"), mode(run / "results/pod-0.json")} == {0o600}


def test_what_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": "1", "b": "2"})
    assert write_files(tmp_path, {"a": "1", "b": "3"}) == ["b"]


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", ""])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a path inside"):
        write_files(tmp_path / "run", {name: "x"})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named_and_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"cannot write .*/results/pod-0\.json .*Next: ") as caught:
        write_files(tmp_path, {"results/pod-0.json": {}})
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_latest_points_to_the_newest_and_moves_with_the_folder(tmp_path: Path) -> None:
    for name in ("r1", "r2"):
        write_files(tmp_path / name, {"run.json": name})
        link_as_latest(tmp_path / name)
    assert (tmp_path / "latest").readlink() == Path("r2")
    assert {path.name for path in tmp_path.iterdir()} == {"r1", "r2", "latest"}


def test_a_folder_called_latest_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(FileExistsError, match="is not a link"):
        link_as_latest(tmp_path / "r1")


def test_private_folders_of_runs_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for run in ("r1", "r2"):
        write_files(tmp_path / run, {"run.json": {}})
    write_files(tmp_path / "r2" / "private", {"kubeconfig": "key"})
    write_files(tmp_path / ".cleanup" / "private", {"kubeconfig": "key"})
    link_as_latest(tmp_path / "r2")
    removed = remove_private(tmp_path)
    assert removed == [str(tmp_path / ".cleanup/private"), str(tmp_path / "r2/private")]
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_symlink())
    assert left == ["r1", "r1/run.json", "r2", "r2/run.json"]
    assert remove_private(tmp_path) == []


def test_the_private_folder_of_one_run_is_removed(tmp_path: Path) -> None:
    for run in ("r1", "r2"):
        write_files(tmp_path / run / "private", {"kubeconfig": "key"})
    assert remove_private(tmp_path / "r1") == [str(tmp_path / "r1/private")]
    assert (tmp_path / "r2/private/kubeconfig").exists()


def test_a_link_that_is_called_private_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1/private").symlink_to(tmp_path / "mine")
    assert remove_private(tmp_path) == []
    assert (tmp_path / "mine").is_dir()
