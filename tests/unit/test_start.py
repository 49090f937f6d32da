"""Ways in which people start this project: each works, or is one line with the command to type."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from pi_speedup.start import command, typable
from tests.clone import copy_work_tree, make
from tests.virtual import PROJECT

BIN = Path(sys.executable).parent
INVENTORY = "[pis]\npi-[1:2] ansible_connection=local\n[base]\npi-1\n"
# What comes where nothing stands in the way: this kubeconfig is not there.
STARTED = r"kubeconfig /none: does not exist \[PS-431\]\. Next: .*"
WORDS = ("-e", "benchmark_kubeconfig=/none", "-e", "benchmark_host_checks=no")


def run(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody does whose shell has only these variables of Ansible's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE", "KUBE", "MAKE", "PYTHON")) or name == "ANSIBLE_HOME"
    }
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**kept, "ANSIBLE_NOCOLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(name="inventory")
def fixture_inventory(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.ini"
    path.write_text(INVENTORY)
    return path


STARTS = {
    "in its folder": (".", {}, (), STARTED),
    "in another folder": ("/", {}, (), r"ansible\.cfg: not this project's settings: .* is not this .*"),
    "with another project's settings": (
        ".",
        {"ANSIBLE_CONFIG": "{tmp}/other.cfg"},
        (),
        r"ansible\.cfg: not this project's settings: ANSIBLE_CONFIG names another \(/.*/other\.cfg\) .*",
    ),
    "with another project's roles": (
        ".",
        {"ANSIBLE_ROLES_PATH": "/srv/roles"},
        (),
        r"ansible\.cfg: not this project's settings: ANSIBLE_ROLES_PATH names others \(/srv/roles\) .*",
    ),
    "with a look of one's own": (
        ".",
        {"ANSIBLE_STDOUT_CALLBACK": "minimal"},
        (),
        r"ANSIBLE_STDOUT_CALLBACK: it is minimal, .*",
    ),
    "tags": (".", {}, ("--tags", "measure"), r"--tags: leaves out parts that the others need .*"),
    "tags in one word": (".", {}, ("--tags=measure",), r"--tags: leaves out parts .*"),
    "tags, short": (".", {}, ("-t", "measure"), r"--tags: leaves out parts .*"),
    "all tags": (".", {}, ("--tags", "all"), STARTED),
    "without some tags": (".", {}, ("--skip-tags", "x"), r"--skip-tags: leaves out parts .*"),
    "in the middle": (".", {}, ("--start-at-task", "Measure"), r"--start-at-task: leaves out parts .*"),
}


@pytest.mark.parametrize(("folder", "variables", "more", "line"), STARTS.values(), ids=STARTS)
def test_a_playbook_begins_or_says_in_one_line_what_to_type(
    inventory: Path, folder: str, variables: dict[str, str], more: tuple[str, ...], line: str
) -> None:
    cwd = PROJECT / folder
    (inventory.parent / "other.cfg").write_text("[defaults]\n")
    variables = {name: value.format(tmp=inventory.parent) for name, value in variables.items()}
    door = os.path.relpath(PROJECT / "benchmark.yml", cwd)
    done = run(BIN / "ansible-playbook", "-i", inventory, door, *WORDS, *more, cwd=cwd, **variables)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [each for each in done.stderr.splitlines() if not each.startswith("[WARNING]")]
    assert len(lines) == 1 and re.fullmatch(line, lines[0]), done.stderr
    assert re.search(r" \[PS-\d{3}\]\. Next: ", lines[0])
    if line != STARTED:
        # In the same shell.
        typed = lines[0].partition(" Next: ")[2]
        again = run("bash", "-c", typed, cwd=cwd, **variables)
        assert re.search(rf"^{STARTED}$", again.stderr, re.MULTILINE), typed + again.stderr


def test_a_folder_that_everybody_may_write_to(inventory: Path, tmp_path: Path) -> None:
    clone = copy_work_tree(tmp_path / "clone")
    clone.chmod(0o777)
    (clone / ".venv").symlink_to(PROJECT / ".venv")
    done = run(BIN / "ansible-playbook", "-i", inventory, "benchmark.yml", *WORDS, cwd=clone)
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"ansible.cfg: not this project's settings: every user may write to {clone}, "), (
        line
    )
    assert "Origin:" not in done.stderr
    again = run("bash", "-c", line.partition(" Next: ")[2], cwd=clone)
    assert re.search(rf"^{STARTED}$", again.stderr, re.MULTILINE), again.stderr


@pytest.fixture(scope="module", name="foreign")
def fixture_foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python that has Ansible, as a distribution's does, and none of our packages."""
    folder = tmp_path_factory.mktemp("foreign")
    venv.create(folder, with_pip=False)
    (there,) = folder.glob("lib/python3*/site-packages")
    (here,) = BIN.parent.glob("lib/python3*/site-packages")
    for name in (
        "ansible",
        "jinja2",
        "markupsafe",
        "yaml",
        "_yaml",
        "packaging",
        "resolvelib",
    ):
        for each in here.glob(f"{name}*"):
            if each.name != "ansible_collections":
                (there / each.name).symlink_to(each)
    return folder / "bin/python"


def test_the_systems_ansible_is_told_which_one_to_take(foreign: Path, inventory: Path) -> None:
    done = run(foreign, "-m", "ansible", "playbook", "-i", inventory, "benchmark.yml", *WORDS, cwd=PROJECT)
    assert done.returncode == 2, done.stdout
    (line,) = done.stderr.splitlines()
    assert re.match(rf"{foreign}: this Python has no package pydantic, .* \[PS-122\]\. Next: ANSIBLE_", line)


@pytest.mark.parametrize("folder", [PROJECT, Path("/")], ids=["in its folder", "in another"])
def test_a_command_with_a_python_that_lacks_the_packages(foreign: Path, folder: Path) -> None:
    done = run(foreign, PROJECT / "src/pi_speedup", "history", "--runs-dir", "/none", cwd=folder)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert re.match(rf"{foreign}: this Python has no package pydantic, .* \[PS-122\]\. Next: ", line)


def opened_by_make(door: str, *words: str) -> str:
    """Return what a door printed; what is installed stays as it is."""
    venv_folder = BIN.parent.name
    return make(PROJECT, f"VENV={venv_folder}", f"--old-file={venv_folder}/.run", door, *words).stdout


def test_make_opens_the_doors_and_takes_words(inventory: Path) -> None:
    args = f"-i {inventory} {shlex.join(WORDS)}"
    said = opened_by_make("benchmark", f"ARGS={args}")
    assert re.match(STARTED, said), said
    told = opened_by_make("benchmark", f"ARGS={args} --tags x").splitlines()[0]
    assert told.endswith(f"Next: make benchmark ARGS={shlex.quote(args)}"), told


@pytest.mark.parametrize("target", ["benchmark", "cleanup"])
def test_the_sample_inventory_is_known(target: str) -> None:
    first = opened_by_make(target).splitlines()[0]
    assert first.startswith(
        "inventory: pi-1 has the address of the example (192.0.2.101), which is nobody's"
    ), first
    assert 'Next: make inventory ARGS="--server pi@ADDRESS"' in first


def without_ensurepip(folder: Path) -> Path:
    """Return a python3 that has no ensurepip, as Debian's without python3-venv."""
    program = folder / "python3"
    program.write_text(f'#!/bin/sh\nexport PYTHONPATH={folder}\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    (folder / "ensurepip.py").write_text("raise ModuleNotFoundError\n")
    return program


def bare(folder: Path) -> Path:
    shutil.copy2(PROJECT / "Makefile", folder)
    shutil.copytree(PROJECT / "requirements", folder / "requirements")
    return folder


def test_no_venv_can_be_made(tmp_path: Path) -> None:
    done = make(bare(tmp_path), f"PYTHON={without_ensurepip(tmp_path)}", "setup")
    assert done.stdout.splitlines()[0].endswith("Next: sudo apt install python3-venv, then make setup")


def test_setup_without_a_network(tmp_path: Path) -> None:
    # A folder of wheels without any is the same to pip as an index that it cannot reach.
    (bare(tmp_path) / "wheels").mkdir()
    done = make(tmp_path, f"PYTHON={sys.executable}", "setup")
    assert done.returncode != 0
    assert re.search(
        r"cannot be fetched: .* Next: make setup again .* see docs/offline\.md$", done.stdout, re.M
    )
    assert "Traceback" not in done.stdout


PLAYBOOK = f"{PROJECT}/.venv/bin/ansible-playbook"
MODULE = f"{PROJECT}/.venv/lib/python3.11/site-packages/ansible/__main__.py"
TYPED = {
    "a path below the folder": ([PLAYBOOK, "x.yml"], PROJECT, {}, ".venv/bin/ansible-playbook x.yml"),
    # Of whichever environment runs the tests: it must be there.
    "on the PATH": (
        [f"{BIN}/ansible-playbook", "x.yml"],
        Path("/"),
        {"PATH": f"/none:{BIN}"},
        "ansible-playbook x.yml",
    ),
    "a path elsewhere": ([PLAYBOOK, "x.yml"], Path("/srv"), {}, f"{PLAYBOOK} x.yml"),
    "words that a shell would split": (
        [PLAYBOOK, "-i", "a b.yml", "x.yml"],
        PROJECT,
        {},
        ".venv/bin/ansible-playbook -i 'a b.yml' x.yml",
    ),
    "a module of Python": (
        [MODULE, "playbook", "-i", "h.yml", "x.yml"],
        PROJECT,
        {},
        ".venv/bin/ansible-playbook -i h.yml x.yml",
    ),
    "make": ([PLAYBOOK, "benchmark.yml"], PROJECT, {"PI_SPEEDUP_BY_MAKE": "1"}, "make benchmark"),
    "make with words": (
        [PLAYBOOK, "benchmark.yml", "-e", "a=b c"],
        PROJECT,
        {"PI_SPEEDUP_BY_MAKE": "1"},
        "make benchmark ARGS='-e '\"'\"'a=b c'\"'\"''",
    ),
}


@pytest.mark.parametrize(("argv", "folder", "environment", "shown"), TYPED.values(), ids=TYPED)
def test_what_was_typed_is_shown_as_one_types_it(
    argv: list[str], folder: Path, environment: dict[str, str], shown: str
) -> None:
    executable = f"{PROJECT}/.venv/bin/python"
    assert command(argv, executable=executable, folder=folder, environment=environment) == shown


DOORS = {
    "the same folder": (["benchmark.yml"], ".venv/bin/ansible-playbook report.yml -e a=1"),
    "an inventory": (
        ["-i", "h.yml", "benchmark.yml", "-e", "b=1"],
        ".venv/bin/ansible-playbook -i h.yml report.yml -e a=1",
    ),
    "two inventories": (
        ["--inventory=h.yml", "-ig.yml", "benchmark.yml"],
        ".venv/bin/ansible-playbook --inventory=h.yml -ig.yml report.yml -e a=1",
    ),
    "a door elsewhere": (
        ["/clone/benchmark.yml"],
        ".venv/bin/ansible-playbook /clone/report.yml -e a=1",
    ),
    "no door": (["-m", "ping"], "ansible-playbook report.yml -e a=1"),
}


@pytest.mark.parametrize(("words", "shown"), DOORS.values(), ids=DOORS)
def test_a_door_that_a_line_names_opens_as_the_one_that_was_typed(words: list[str], shown: str) -> None:
    line = typable(
        "x. Next: ansible-playbook report.yml -e a=1", [PLAYBOOK, *words], folder=PROJECT, environment={}
    )
    assert line == f"x. Next: {shown}"
