"""A lab's folder: locked by one, recognised, and emptied of nothing but a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtual_cluster import folder as folders
from virtual_cluster.errors import LabError
from virtual_cluster.folder import Component, FolderLock, LabFolder, Spec, State
from virtual_cluster.processes import Identity


def spec(folder: LabFolder) -> Spec:
    etcd_sockets, control_socket = folders.place_sockets(folder)
    commands = {"etcd": ("/cache/kubernetes", "etcd")}
    return Spec(3, 0.5, "arm64", "v1.34.4", commands, str(etcd_sockets), str(control_socket))


def test_spec_and_state_are_read_as_written(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path)
    assert (folders.read_spec(folder), folders.read_state(folder)) == (None, None)
    written = spec(folder)
    folders.write_spec(folder, written)
    components = {"etcd": Component(Identity(17, 4711), "/log", exit_code=-9)}
    state = State(True, "https://127.0.0.1:40000", Identity(16, 4710), components)
    folders.write_state(folder, state)
    assert folders.read_spec(folder) == written
    assert folders.read_state(folder) == state
    assert folder.state.stat().st_mode & 0o777 == 0o600


def test_damaged_state_is_named(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path)
    folder.state.write_text('{"ready": tr')
    with pytest.raises(LabError, match=r"state\.json is damaged"):
        folders.read_state(folder)


def test_lock_has_one_holder_and_says_whom_to_ask(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path)
    lock = FolderLock.try_acquire(folder)
    assert lock is not None
    assert folders.lock_owner(folder) is None
    lock.sign(Identity(123456, 7))
    lock.sign(Identity(17, 4711))
    assert folders.lock_owner(folder) == Identity(17, 4711)
    assert FolderLock.try_acquire(folder) is None
    lock.release()
    assert FolderLock.try_acquire(folder) is not None


@pytest.mark.parametrize(
    ("name", "in_folder"),
    [("lab", True), ("x" * 120, False), ("my lab", False), ("100%", False)],
    ids=["short", "too long for a socket", "space", "would be escaped in an URL"],
)
def test_sockets_lie_where_a_path_fits(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, name: str, in_folder: bool
) -> None:
    base = tmp_path_factory.mktemp("s")
    monkeypatch.setattr("tempfile.tempdir", str(base))
    folder = LabFolder(base / name)
    etcd_sockets, control_socket = folders.place_sockets(folder)
    assert (control_socket.parent == folder.path) is in_folder
    assert (etcd_sockets == folder.etcd) is in_folder
    assert len(str(control_socket)) <= 107


def test_removal_takes_a_lab_and_leaves_the_rest(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    folder.path.mkdir()
    assert not folders.is_foreign(folder)
    lock = FolderLock.try_acquire(folder)
    assert lock is not None
    assert not folders.is_foreign(folder)
    folders.write_spec(folder, spec(folder))
    for directory in (folder.control_plane, folder.etcd / "data", folder.pis, folder.log("etcd").parent):
        directory.mkdir(parents=True)
    for file in (folder.kubeconfig, folder.kubeconfig.with_name("kubeconfig.readonly"), folder.audit_log):
        file.write_text("x")
    mine = folder.path / "notes.txt"
    mine.write_text("mine")
    folders.remove(folder, lock)
    assert list(folder.path.iterdir()) == [mine]
    assert folders.is_foreign(folder)


def test_removal_takes_the_folder_if_nothing_else_is_in_it(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    folder.path.mkdir()
    lock = FolderLock.try_acquire(folder)
    assert lock is not None
    folders.write_spec(folder, spec(folder))
    folders.remove(folder, lock)
    assert not folder.path.exists()
