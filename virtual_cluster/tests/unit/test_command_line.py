"""What the command line accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtual_cluster import __main__ as command_line


@pytest.mark.parametrize(
    ("arguments", "ours", "theirs"),
    [
        (["up"], ["up"], []),
        (["exec", "pi-1", "--", "ls", "-l"], ["exec", "pi-1"], ["ls", "-l"]),
        (["kubectl", "--", "exec", "p", "--", "ls"], ["kubectl"], ["exec", "p", "--", "ls"]),
        (["exec", "pi-1", "--"], ["exec", "pi-1"], []),
    ],
    ids=["no dashes", "command", "dashes of the command's own", "nothing after them"],
)
def test_split_at_dashes(arguments: list[str], ours: list[str], theirs: list[str]) -> None:
    assert command_line.split_at_dashes(arguments) == (ours, theirs)


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--pis", "0"],
        ["up", "--pis", "301"],
        ["up", "--pis", "three"],
        ["up", "--cpus", "0"],
        ["up", "--cpus", "nan"],
        ["exec", "pi-1", "--"],
        [],
    ],
    ids=["no Pi", "too many Pis", "Pis in words", "no CPU", "CPU that is no number", "no command", "nothing"],
)
def test_bad_arguments_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        command_line.main(arguments)
    assert raised.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_failure_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["kubectl", "--dir", str(tmp_path / "none"), "--", "get", "nodes"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: no lab in ")
    assert error.count("\n") == 1


def test_absent_lab_has_a_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["status", "--dir", str(tmp_path / "none")]) == 3
    assert capsys.readouterr().out.startswith("absent: ")


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_STATE_HOME": "/somewhere"}, Path("/somewhere/pi-speedup/lab")),
        ({}, Path.home() / ".local/state/pi-speedup/lab"),
    ],
    ids=["set", "unset"],
)
def test_default_dir(environment: dict[str, str], folder: Path) -> None:
    assert command_line.default_dir(environment) == folder
