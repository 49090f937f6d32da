"""A fetched kubeconfig is removed once it has served, and nothing beside it, whatever it is called."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pi_speedup.kube.access.fetched import keep_fetched, remove_fetched
from pi_speedup.problem import ProblemError
from pi_speedup.store import RunStore
from tests.look_alikes import seen
from tests.unit.plan.factory import plan


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def fetched(run: Path) -> Path:
    path = run / "private" / "kubeconfig"
    keep_fetched("key: 1\n", path)
    return path


def a_diary_in_private(runs: Path) -> None:
    (runs / "private").mkdir(parents=True)
    (runs / "private" / "diary.txt").write_text("dear diary")


def an_album(runs: Path) -> None:
    (runs / "photos" / "private" / "2019").mkdir(parents=True)
    (runs / "photos" / "private" / "2019" / "sea.jpg").write_bytes(b"\xff\xd8")


def an_empty_private_folder(runs: Path) -> None:
    (runs / "empty" / "private").mkdir(parents=True)


def a_kubeconfig_of_somebody(runs: Path) -> None:
    (runs / "work" / "private").mkdir(parents=True)
    (runs / "work" / "private" / "kubeconfig").write_text("apiVersion: v1\nkind: Config\n")


def a_copy_that_somebody_made(runs: Path) -> None:
    path = fetched(runs / "x")
    copy = runs / "mine" / "private" / "kubeconfig"
    copy.parent.mkdir(parents=True)
    path.rename(copy)
    path.parent.rmdir()
    path.parent.parent.rmdir()


def a_diary_in_a_run(runs: Path) -> None:
    RunStore(runs / "x").seal(plan(rounds=1))
    (runs / "x" / "private").mkdir()
    (runs / "x" / "private" / "diary.txt").write_text("dear diary")


def a_link_to_a_run(runs: Path) -> None:
    path = fetched(runs.parent / "elsewhere" / "x")
    runs.mkdir()
    (runs / "x").symlink_to(path.parent.parent)


def a_link_to_a_private_folder(runs: Path) -> None:
    path = fetched(runs.parent / "elsewhere" / "x")
    (runs / "x").mkdir(parents=True)
    (runs / "x" / "private").symlink_to(path.parent)


def a_link_to_the_file(runs: Path) -> None:
    path = fetched(runs.parent / "elsewhere" / "x")
    (runs / "x" / "private").mkdir(parents=True)
    (runs / "x" / "private" / "kubeconfig").symlink_to(path)


def a_pipe(runs: Path) -> None:
    (runs / "x" / "private").mkdir(parents=True)
    os.mkfifo(runs / "x" / "private" / "kubeconfig")


def a_file_called_private(runs: Path) -> None:
    (runs / "x").mkdir(parents=True)
    (runs / "x" / "private").write_text("a file")


def a_folder_called_kubeconfig(runs: Path) -> None:
    (runs / "x" / "private" / "kubeconfig").mkdir(parents=True)


THEIRS = (
    a_diary_in_private,
    an_album,
    an_empty_private_folder,
    a_kubeconfig_of_somebody,
    a_copy_that_somebody_made,
    a_diary_in_a_run,
    a_link_to_a_run,
    a_link_to_a_private_folder,
    a_link_to_the_file,
    a_pipe,
    a_file_called_private,
    a_folder_called_kubeconfig,
)


@pytest.mark.fault(
    "files and folders of others called private, in the folder of runs",
    "survived",
    kept="theirs",
)
@pytest.mark.parametrize("put", THEIRS, ids=lambda put: put.__name__)
def test_what_is_not_ours_stays(put: Callable[[Path], None], runs: Path) -> None:
    put(runs)
    before = seen(runs.parent)
    assert remove_fetched(runs) == []
    for run in runs.iterdir():
        # A link that one names oneself is as good as the folder.
        assert run.is_symlink() or remove_fetched(run) == []
    assert seen(runs.parent) == before


def test_what_was_fetched_is_removed_with_the_folders_made_for_it(runs: Path) -> None:
    left = [fetched(runs / name) for name in (".cleanup", "a", "b")]
    RunStore(runs / "a").seal(plan(rounds=1))
    # As a run leaves it that is killed while it writes.
    hidden = runs / "b" / "private" / ".kubeconfig.x7c_q2"
    left[-1].rename(hidden)
    assert remove_fetched(runs) == [str(left[0]), str(left[1]), str(hidden)]
    assert list(seen(runs)) == ["a", "a/plan.json"]
    assert remove_fetched(runs) == []


def test_a_diary_beside_it_stays(runs: Path) -> None:
    path = fetched(runs / "x")
    diary = path.with_name("diary.txt")
    diary.write_text("dear diary")
    before = seen(runs)
    assert remove_fetched(runs / "x") == [str(path)]
    after = seen(runs)
    assert after == {name: each for name, each in before.items() if name != "x/private/kubeconfig"}


def test_it_is_kept_for_nobody_else_and_fetched_anew(runs: Path) -> None:
    path = fetched(runs / "x")
    keep_fetched("key: 2\n", path)
    assert path.read_text().endswith("\nkey: 2\n")
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


@pytest.mark.fault(
    "a file of others where the kubeconfig is fetched to",
    "…/private/kubeconfig: there already, and not a kubeconfig that was fetched for this run [PS-704]. "
    "Next: move it away, or choose another benchmark_run_id or benchmark_runs_dir",
    kept="theirs",
    row="a_pipe",
)
@pytest.mark.parametrize(
    "put",
    [a_link_to_a_run, a_link_to_a_private_folder, a_link_to_the_file, a_pipe, a_folder_called_kubeconfig],
    ids=lambda put: put.__name__,
)
def test_nothing_of_others_is_replaced(put: Callable[[Path], None], runs: Path) -> None:
    put(runs)
    before = seen(runs.parent)
    with pytest.raises(ProblemError, match=r"\[PS-704\]\. Next: move it away"):
        fetched(runs / "x")
    assert seen(runs.parent) == before


@pytest.mark.fault(
    "a fetched kubeconfig that cannot be removed",
    "…/private: cannot be removed (Permission denied) and may hold a key [PS-705]. Next: ls -la …/private "
    "shows whose it is; then run ansible-playbook cleanup.yml again",
    kept="the others are removed",
)
def test_one_that_cannot_be_removed_is_told_and_the_others_are_removed(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [fetched(runs / name) for name in ("a", "b")]
    unlink = Path.unlink

    def refusing(path: Path, missing_ok: bool = False) -> None:
        if path == paths[0]:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    # As root, whom no mode of a folder stops.
    monkeypatch.setattr(Path, "unlink", refusing)
    with pytest.raises(
        ProblemError,
        match=r"a/private: cannot be removed \(Perm.*\) and may hold a key.* Next: ls -la \S+a/private ",
    ):
        remove_fetched(runs)
    assert [path.exists() for path in paths] == [True, False]
