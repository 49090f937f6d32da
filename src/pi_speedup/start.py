"""How this project is started: what stands in the way of that, and the command to type instead.

It serves any Python that a user happens to start, also one that is too old or has none of the packages: so it
imports nothing but the standard library.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
OLDEST_PYTHON = (3, 11)
# Set by the Makefile: what was typed is `make benchmark`, not what make starts.
BY_MAKE = "PI_SPEEDUP_BY_MAKE"
_PLAYBOOK = "ansible-playbook"
_DOOR = re.compile(r"\bansible-playbook (\w+\.yml)")
# An option of Ansible that names the inventory, and its value where that is the next word.
_INVENTORY = re.compile(r"(?:-i|--inventory|--inventory-file)(?:=|$)|-i.+")


def command(
    argv: Sequence[str],
    more: Sequence[str] = (),
    *,
    executable: str = sys.executable,
    folder: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Return the command line that was typed, with `more` words, as it can be typed again.

    argv: of the present process. executable: its Python. folder: the working directory. environment: on its
    $PATH a program is called by its name alone.
    """
    program, *words = argv
    if Path(program).name == "__main__.py":
        # python -m ansible playbook, which has its programs beside it.
        program, words = str(Path(executable).with_name(_PLAYBOOK)), words[1:]
    if environment.get(BY_MAKE) and words:
        doors = [word for word in words if word.endswith(".yml") and Path(word).name == word]
        if doors:
            rest = [*(word for word in words if word != doors[0]), *more]
            given = f" ARGS={shlex.quote(shlex.join(rest))}" if rest else ""
            return f"make {doors[0][: -len('.yml')]}{given}"
    return shlex.join([_called(program, folder or Path.cwd(), environment), *words, *more])


def typable(line: str, argv: Sequence[str], **how: Any) -> str:
    """Return a line in which each `ansible-playbook DOOR.yml` opens that door from where the user stands.

    With the program, the inventory and the folder of the command that was typed; `how` as `command` takes it.
    """
    typed = [word for word in argv[1:] if word.endswith(".yml") and (PROJECT / Path(word).name).exists()]
    if not typed:
        return line

    def opened(found: re.Match[str]) -> str:
        door = str(Path(typed[0]).with_name(found[1]))
        program = [argv[0], *(["playbook"] if Path(argv[0]).name == "__main__.py" else [])]
        return command([*program, *_inventories(argv[1:]), door], **how)

    return _DOOR.sub(opened, line)


def obstacle(argv: Sequence[str], roles_path: Sequence[str], callback: str, config: str) -> str:
    """Return the one line of a playbook that cannot work as it was started; empty if it can.

    roles_path, callback, config: the settings that Ansible found, and their file.
    """
    settings = f"ANSIBLE_CONFIG={shlex.quote(_from_here(PROJECT / 'ansible.cfg'))}"
    again = f"{settings} {_venv_command(argv[1:])}"
    if missing := _not_installed():
        return f"{missing} [PS-122]. Next: {_after_setup(again)}"
    if str(PROJECT / "roles") not in {os.path.realpath(each) for each in roles_path}:
        named = os.environ.get("ANSIBLE_CONFIG")
        if named:
            why = f"ANSIBLE_CONFIG names another ({named})"
        elif roles := os.environ.get("ANSIBLE_ROLES_PATH"):
            why = f"ANSIBLE_ROLES_PATH names others ({roles})"
            again = f"env -u ANSIBLE_ROLES_PATH {again}"
        elif _open_to_all(Path.cwd()):
            why = f"every user may write to {Path.cwd()}, so Ansible reads none there"
        else:
            why = f"Ansible reads {config or 'none'}, since {Path.cwd()} is not this project's folder"
        return f"ansible.cfg: not this project's settings: {why} [PS-121]. Next: {again}"
    if callback != "pi_speedup":
        name = "ANSIBLE_STDOUT_CALLBACK"
        return (
            f"{name}: it is {callback}, and only pi_speedup shows a run and takes its Ctrl-C [PS-121]. Next: "
            f"{name}=pi_speedup {command(argv)}"
        )
    return ""


def left_out(argv: Sequence[str], options: Mapping[str, Any]) -> str:
    """Return the one line of a playbook of which options leave parts out; empty if none do."""
    given = {
        "--tags": list(options.get("tags") or ["all"]) != ["all"],
        "--skip-tags": bool(options.get("skip_tags")),
        "--start-at-task": bool(options.get("start_at_task")),
    }
    for option, is_given in given.items():
        if is_given:
            again = command([argv[0], *_without(argv[1:], option, "-t" if option == "--tags" else option)])
            return f"{option}: leaves out parts that the others need [PS-106]. Next: {again}"
    return ""


def not_installed() -> str:
    """Return the one line of a command that this Python cannot run; empty if it can."""
    missing = _not_installed()
    again = shlex.join([_from_here(_venv() / "python"), "-m", "pi_speedup", *sys.argv[1:]])
    return f"{missing} [PS-122]. Next: {_after_setup(again)}" if missing else ""


def _not_installed() -> str:
    if sys.version_info < OLDEST_PYTHON:
        return f"{sys.executable}: it is Python {sys.version.split()[0]}, pi-speedup needs 3.11 or later"
    for package in ("pydantic", "kubernetes"):
        try:
            importlib.import_module(package)
        except ImportError:
            return f"{sys.executable}: this Python has no package {package}, with which pi-speedup works"
    return ""


def _after_setup(again: str) -> str:
    if (_venv() / _PLAYBOOK).exists():
        return again
    place = "" if Path.cwd() == PROJECT else f" -C {shlex.quote(str(PROJECT))}"
    return f"make{place} setup, then {again}"


def _venv() -> Path:
    return PROJECT / ".venv/bin"


def _venv_command(words: Sequence[str]) -> str:
    return shlex.join([_from_here(_venv() / _PLAYBOOK), *words])


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if here in path.parents else str(path)


def _called(program: str, folder: Path, environment: Mapping[str, str]) -> str:
    path = Path(program)
    found = shutil.which(path.name, path=environment.get("PATH") or "/nonexistent")
    if found is not None and Path(found).resolve() == path.resolve():
        return path.name
    return str(path.relative_to(folder)) if folder in path.parents else program


def _inventories(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    for place, word in enumerate(words):
        if _INVENTORY.match(word):
            found += words[place : place + (2 if word in ("-i", "--inventory", "--inventory-file") else 1)]
    return found


def _without(words: Sequence[str], *options: str) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if not skip and not word.startswith(tuple(f"{each}=" for each in options)) and word not in options:
            kept.append(word)
        skip = word in options
    return kept


def _open_to_all(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o002)
