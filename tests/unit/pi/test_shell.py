"""Scripts over a connection: run with LC_ALL=C, answered in sections, and what it means that they fail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.pi.shell import (
    SECTION,
    ConnectionShell,
    Outcome,
    ShellOutcome,
    sections,
    understand_each_sudo,
)
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.remote import Remote


class Here:
    """A connection as Ansible's are, to this machine."""

    transport = "local"
    become: Any = None
    cwd: bytes | None = None

    def __init__(self, fails: Exception | None = None) -> None:
        self.fails = fails
        self.sudoable: list[bool] = []

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int | None, bytes, bytes]:
        if self.fails is not None:
            raise self.fails
        self.sudoable.append(sudoable)
        done = subprocess.run(
            ["/bin/sh", "-c", cmd], input=in_data, capture_output=True, check=False, cwd=self.cwd
        )
        return done.returncode or None, done.stdout, done.stderr


REMOTE = Remote("pi-1", "192.168.1.101", "pi")


def nothing(error: Exception) -> ProblemError | None:
    return None


@pytest.mark.parametrize(
    ("script", "stdin", "outcome"),
    [
        ("""echo 'a b' "c'd" \\$x""", b"", ShellOutcome(0, b"a b c'd $x\n")),
        ("cat", b"\xff\0x", ShellOutcome(0, b"\xff\0x")),
        ("cat", b"", ShellOutcome(0, b"\n")),
        ("echo $LC_ALL; echo no >&2; exit 3", b"", ShellOutcome(3, b"C\n", b"no\n")),
    ],
    ids=["any words", "any bytes", "never a terminal", "any end"],
)
def test_a_script_runs_as_it_stands(script: str, stdin: bytes, outcome: ShellOutcome) -> None:
    here = Here()
    assert ConnectionShell(here, nothing).run(script, stdin) == outcome
    assert here.sudoable == [False]


def test_a_broken_connection_is_a_problem_and_other_errors_stay() -> None:
    problem = ProblemError(
        Problem(code=Code.SSH_UNREACHABLE, subject="pi-1", what="gone"), passes_by_itself=True
    )

    def broken(error: Exception) -> ProblemError | None:
        return problem if isinstance(error, OSError) else None

    with pytest.raises(ProblemError) as caught:
        ConnectionShell(Here(OSError("reset")), broken).run("true")
    assert caught.value is problem
    with pytest.raises(LookupError):
        ConnectionShell(Here(LookupError("a bug")), broken).run("true")


def action(here: Here, user: str = "pi", become_user: str = "root") -> Any:
    """What an action plugin has."""
    return SimpleNamespace(
        _connection=here,
        _play_context=SimpleNamespace(executable="/bin/sh"),
        _loader=SimpleNamespace(get_basedir=lambda: "/usr"),
        _get_remote_user=lambda: user,
        get_become_option=lambda name: become_user,
    )


def test_a_local_connection_works_in_the_playbooks_folder() -> None:
    assert ConnectionShell.of_action(action(Here()), REMOTE).run("pwd").output == b"/usr\n"


@pytest.mark.parametrize(("become_user", "used"), [("root", True), ("pi", False)])
def test_become_is_put_before_where_it_changes_the_user(become_user: str, used: bool) -> None:
    here = Here()
    here._shell = None  # type: ignore[attr-defined]
    here.become = SimpleNamespace(
        build_become_command=lambda command, shell: f"SUDO=yes; export SUDO\n{command}"
    )
    shell = ConnectionShell.of_action(action(here, become_user=become_user), REMOTE)
    assert shell.run("echo $SUDO").output == (b"yes\n" if used else b"\n")
    assert here.sudoable == [used]


def refusing(there: str) -> ConnectionShell:
    """Return a shell with a become that does what `there` does instead of sudo."""
    here = Here()
    here._shell = None  # type: ignore[attr-defined]
    here.become = SimpleNamespace(build_become_command=lambda command, shell: there.replace("RUN", command))
    return ConnectionShell.of_action(action(here), REMOTE)


@pytest.mark.parametrize("stream", ["", " >&2"], ids=["on its output", "beside it"])
def test_sudos_refusal_is_told_wherever_it_is_said(stream: str) -> None:
    with pytest.raises(ProblemError) as caught:
        refusing(f"echo 'pi is not in the sudoers file.'{stream}; exit 1").run("echo never")
    assert "pi may not use sudo (pi is not in the sudoers file) [PS-213]" in str(caught.value)


def test_sudo_itself_speaks_english_too() -> None:
    assert refusing("echo $LC_ALL >&2; RUN").run("echo $LC_ALL") == ShellOutcome(0, b"C\n", b"C\n")


def test_a_login_that_lets_nothing_run_says_why() -> None:
    with pytest.raises(ProblemError) as caught:
        refusing("echo 'This account is currently not available.'; exit 1").run("true")
    assert "(This account is currently not available) [PS-216]. Next: ssh pi@192.168.1.101" in str(
        caught.value
    )


def test_what_is_said_before_a_script_begins_is_no_answer() -> None:
    greeting = "echo 'Welcome'; printf '\\033]3008;start=x\\033\\\\'; RUN"
    assert refusing(greeting).run("echo answer").output == b"answer\n"


@pytest.mark.parametrize(
    "prompt",
    [b"[sudo via ansible, key=abc] password:", b"[sudo: [sudo via ansible, key=abc] password:] Password: "],
    ids=["sudo", "sudo-rs"],
)
def test_each_sudos_prompt_is_known(prompt: bytes) -> None:
    become = SimpleNamespace(
        name="sudo", prompt="[sudo via ansible, key=abc] password:", fail=("Sorry, try again.",)
    )
    understand_each_sudo(become)
    assert become.check_password_prompt(prompt)
    assert not become.check_password_prompt(b"[sudo via ansible, key=other] password:")


def told(script: str) -> ShellOutcome:
    return ConnectionShell(Here(), nothing).run(SECTION + script)


def test_sections_are_read_back_whatever_is_said_before() -> None:
    outcome = told("echo motd; section one 3 'a\nb'; section two 0 ''; section end 0")
    assert sections("pi-1", outcome) == {
        "one": Outcome(3, "a\nb"),
        "two": Outcome(0, ""),
        "end": Outcome(0, ""),
    }


def test_a_section_is_bounded() -> None:
    outcome = told("section one 0 \"$(head -c 300000 /dev/zero | tr '\\0' x)\"; section end 0")
    assert len(sections("pi-1", outcome)["one"].said) == 65536


@pytest.mark.parametrize(
    ("break_off", "words"),
    [
        (
            lambda: told("section one 0 ''; echo Killed >&2; exit 9"),
            "broke off with exit code 9 (Killed) [PS-217]. Next: ",
        ),
        (lambda: ShellOutcome(127, b"", b""), "broke off with exit code 127 (no word) [PS-217]. Next: "),
        (lambda: ShellOutcome(1, b"", b"\x1b[31msudo:\nno\n"), "(no)"),
    ],
    ids=["in the middle", "silent", "never began"],
)
def test_a_script_that_breaks_off_may_go_well_the_next_time(
    break_off: Callable[[], ShellOutcome], words: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        sections("pi-1", break_off())
    assert words in str(caught.value) and str(caught.value).isprintable()
    assert caught.value.passes_by_itself
