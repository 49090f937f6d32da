"""The README keeps its word: its commands run in order in a fresh clone, and print what it shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.lab.lab import PROJECT, Lab

READMES = (PROJECT / "README.md", PROJECT / "README.zh-TW.md")
PAGES = (*READMES, PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md")))

# Run by .ci/run as they are: they make the lab that this test already has, or run this test.
RUN_BY_CI = (
    "make demo",
    ".venv/bin/ansible-playbook -i .lab/inventory.yml cleanup.yml",
    "make lab-down",
    "make test",
)

# All that differs from what a user types: the README's words, what stands for them here, and why.
STAND_INS = (
    ("git clone URL", "git clone {origin}", "the address is the user's to know"),
    ("cd pi-speedup", "cd pi-speedup && cp -R {edits}/. .", "step 1 is done in an editor"),
    ("ssh pi@192.168.1.101 sudo cat /etc/rancher/k3s/k3s.yaml", "cat {lab}/kubeconfig", "no Pi, no SSH"),
    ("192.168.1.101", "127.0.0.1", "where the lab's API server listens"),
    (
        ".venv/bin/pip install",
        "uv pip install --python .venv/bin/python",
        "the same hashes in seconds instead of a minute",
    ),
)


@dataclass(frozen=True)
class Session:
    """What the README's commands printed, their exit code, and the clone that they worked in."""

    exit_code: int
    output: str
    clone: Path


def blocks(page: Path) -> list[tuple[str, list[str]]]:
    """Return kind and lines of each fenced block."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [(kind, text.splitlines()) for kind, text in found]


def commands(readme: Path) -> list[str]:
    """Return the commands in order: each line of a sh block, the lines after `$ ` of a console block."""
    typed: list[str] = []
    for kind, lines in blocks(readme):
        assert kind in ("sh", "console"), f"a {kind or 'plain'} block, whose commands nobody would run"
        typed += [line.removeprefix("$ ") for line in lines if kind == "sh" or line.startswith("$ ")]
    return typed


def printed(readme: Path) -> list[str]:
    """Return the lines that console blocks show as printed; `…` stands for what is left out."""
    shown = [line for kind, lines in blocks(readme) if kind == "console" for line in lines]
    return [line for line in shown if line.strip("… ") and not line.startswith("$ ")]


def without_numbers(line: str) -> str:
    """Return a line in which numbers, and the width of columns that depends on them, make no difference."""
    return " ".join(re.sub(r"[-+]?\d[-\w.,%]*", "#", line).split())


def fresh_origin(folder: Path) -> Path:
    """Make a repository that holds the work tree as it is now, uncommitted changes included."""
    listing = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (PROJECT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name, follow_symlinks=False)
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message=now"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


def edits(lab: Lab, folder: Path) -> Path:
    """Write what the user of this lab writes in step 1: which Pis there are, and a small size of run."""
    inventory = yaml.safe_load((lab.folder / "inventory.yml").read_text())
    # Step 2 brings the kubeconfig. The lab's Python is the Pis' alone: the control host has its .venv's.
    del inventory["all"]["vars"]["benchmark_kubeconfig"]
    interpreter = inventory["all"]["vars"].pop("ansible_python_interpreter")
    inventory["all"]["children"]["pis"]["vars"] = {"ansible_python_interpreter": interpreter}
    settings = {"benchmark_samples_per_pod": 100_000}
    for path, content in {"hosts.yml": inventory, "group_vars/all.yml": settings}.items():
        target = folder / "inventory" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(yaml.safe_dump(content))
    return folder


def as_typed_here(command: str, places: dict[str, Path]) -> str:
    """Return a command of the README with the stand-ins put in."""
    for words, stand_in, _ in STAND_INS:
        command = command.replace(words, stand_in.format(**places))
    return command


@pytest.fixture(scope="module", name="session")
def fixture_session(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Run the README's commands in one shell, as a user does, up to the first that fails."""
    folder = tmp_path_factory.mktemp("readme")
    places = {name: folder / name for name in ("origin", "edits", "home")}
    for place in places.values():
        place.mkdir()
    fresh_origin(places["origin"])
    edits(lab, places["edits"])
    script = ["set -euo pipefail"]
    for command in commands(READMES[0]):
        if command not in RUN_BY_CI:
            script.append(f"printf '\\n$ %s\\n' {shlex.quote(command)}")
            script.append(as_typed_here(command, {**places, "lab": lab.folder}))
    home = Path.home()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KUBE"))},
        # A home of its own, for the kubeconfig is written there; what pip has and how it is set up stays.
        "HOME": str(places["home"]),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(home / ".cache")),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(home / ".config")),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Session(done.returncode, done.stdout, folder / "pi-speedup")


def test_the_commands_run_in_a_fresh_clone(session: Session) -> None:
    assert session.exit_code == 0, session.output


def test_the_commands_lead_to_a_report(session: Session) -> None:
    shown = session.output.partition("$ cat runs/latest/report.md\n")[2]
    assert shown.startswith("# Speedup of 3 Pis"), session.output


def test_the_commands_leave_nothing_in_the_cluster(session: Session, lab: Lab) -> None:
    assert session.exit_code == 0, session.output
    assert "pi-speedup" not in [each["metadata"]["name"] for each in lab.get("namespaces")["items"]]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_a_run_prints_what_the_readme_shows(session: Session, readme: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    demo = subprocess.check_output(
        ["make", "--dry-run", "demo"], cwd=session.clone, env=environment, text=True
    )
    known = [*session.output.splitlines(), *re.findall(r'^echo "(.*)"$', demo, re.MULTILINE)]
    lines = {without_numbers(line) for line in known}
    shown = printed(readme)
    assert len(shown) > 10
    # Which checks speak against a run is another matter with each run.
    assert [line for line in shown if "FLAG" not in line and without_numbers(line) not in lines] == []


@pytest.mark.parametrize("command", RUN_BY_CI)
def test_what_is_not_run_here_is_run_by_ci(command: str) -> None:
    assert command in commands(READMES[0])
    assert command in (PROJECT / ".ci/run").read_text().splitlines()


@pytest.mark.parametrize("words", [words for words, _, _ in STAND_INS])
def test_every_stand_in_stands_for_something(words: str) -> None:
    assert any(words in command for command in commands(READMES[0]))


def test_both_readmes_have_the_same_commands_and_print_the_same() -> None:
    english, chinese = READMES
    assert commands(english)
    assert commands(chinese) == commands(english)
    assert printed(chinese) == printed(english)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_settings_are_those_of_the_role(readme: Path) -> None:
    defaults = yaml.safe_load((PROJECT / "roles/benchmark/defaults/main.yml").read_text())
    rows = dict(re.findall(r"^\| `(benchmark_\w+)` \| (.*?) \|", readme.read_text(), re.MULTILINE))
    # Its default is an expression, which the table says in words.
    assert "KUBECONFIG" in rows.pop("benchmark_kubeconfig")
    shown = {name: yaml.safe_load(default.strip("`")) for name, default in rows.items()}
    assert len(shown) > 5
    assert shown == {name: defaults.get(name) for name in shown}


def test_the_checks_are_those_of_a_report(session: Session) -> None:
    report = json.loads((session.clone / "runs/latest/report.json").read_text())
    page = (PROJECT / "docs/report.md").read_text().partition("checks\n")[2].partition("\n## ")[0]
    codes = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert codes == [check["code"] for check in report["checks"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_makes_can_be_made(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"[`\n]make ([a-z][a-z-]*)", page.read_text()))
    assert named - set(targets) == set()
