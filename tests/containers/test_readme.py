"""The README keeps its word: its commands run in order in a fresh clone, and print what it shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.browser.browser import CHROMIUM, chromium, look
from tests.clone import copy_work_tree
from tests.containers.cluster import PIS, Cluster
from tests.readme import READMES, RUN_BY_CI, commands, printed
from tests.virtual import PROJECT

# All that differs from what a user types: the README's words, what stands for them here, and why.
STAND_INS = (
    ("git clone URL", "git clone {origin}", "the address is the user's to know"),
    ("cd pi-speedup", "cd pi-speedup && cp -R {edits}/. .", "the size of the run is set in an editor"),
    (
        "--server pi@192.168.1.101",
        "--server pi@{pi-1} --ssh-args '-i {key} -o UserKnownHostsFile={known_hosts} -o IdentitiesOnly=yes'",
        "whoever logs in already has the key and the known hosts where ssh looks for them",
    ),
    ("192.168.1.101", "{pi-1}", "the address is the Pi's to know"),
    ("192.168.1.102", "{pi-2}", "the address is the Pi's to know"),
    ("192.168.1.103", "{pi-3}", "the address is the Pi's to know"),
    ("30_000_000", "300_000", "the size of the run is set in an editor"),
)


@dataclass(frozen=True)
class Session:
    """What the README's commands printed, their exit code, and the clone that they worked in."""

    exit_code: int
    output: str
    clone: Path


# What differs from run to run, or between a lab and containers, and what stands for it.
VARIES = (
    (r"Verdict: .*? checks ran(; (not checked|too noisy to tell): [^;.]+)*\.", "VERDICT"),
    (r"\b(a process|docker) on\b", "RUNTIME on"),
    (r", about [\d.]+ (s|min) left", ""),
    (r"\bplan [0-9a-f]{12}\b", "plan HASH"),
    (r"[-+]?\d[-\w.,%]*", "#"),
)


def what_stays(text: str) -> str:
    """Return a text as one line, in which only that makes a difference which is the same in each run."""
    text = " ".join(text.split())
    for pattern, stand_in in VARIES:
        text = re.sub(pattern, stand_in, text)
    return text


def fresh_origin(folder: Path) -> Path:
    """Make a repository that holds the work tree as it is now, uncommitted changes included."""
    copy_work_tree(folder)
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message=now"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


def edits(cluster: Cluster, folder: Path) -> Path:
    """Write what the user of these Pis sets for all: their image, and a small size of run."""
    of_the_cluster = yaml.safe_load((cluster.folder / "inventory.yml").read_text())["all"]["vars"]
    settings = {name: value for name, value in of_the_cluster.items() if name.startswith("benchmark_")}
    target = folder / "inventory/group_vars/all.yml"
    target.parent.mkdir(parents=True)
    target.write_text(
        yaml.safe_dump({**settings, "benchmark_samples_per_process": 100_000, "benchmark_trial_seconds": 1})
    )
    return folder


def as_typed_here(command: str, places: dict[str, str]) -> str:
    """Return a command of the README with the stand-ins put in."""
    for words, stand_in, _ in STAND_INS:
        command = command.replace(words, stand_in.format(**places))
    return command


@pytest.fixture(scope="module", name="session")
def fixture_session(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Run the README's commands in one shell, as a user does, up to the first that fails."""
    folder = tmp_path_factory.mktemp("readme")
    places = {name: folder / name for name in ("origin", "edits", "home")}
    for place in places.values():
        place.mkdir()
    fresh_origin(places["origin"])
    edits(cluster, places["edits"])
    places |= {"key": cluster.folder / "id_ed25519", "known_hosts": cluster.folder / "known_hosts"}
    (places["home"] / ".ssh").mkdir(mode=0o700)
    known = {**{name: str(place) for name, place in places.items()}, **cluster.addresses()}
    script = ["set -euo pipefail"]
    for command in commands(READMES[0]):
        if command not in RUN_BY_CI:
            script.append(f"printf '\\n$ %s\\n' {shlex.quote(command)}")
            script.append(as_typed_here(command, known))
    home = Path.home()
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANSIBLE_", "KUBE", "MAKE"))
        },
        # A home of its own, for known hosts are written there; what pip has and how it is set up stays.
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
    _, *shown = session.output.split("$ cat runs/latest/report.md\n")
    assert [each.startswith("# Speedup of 3 Pis") for each in shown] == [True, True], session.output


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_they_leave_a_page_that_is_fit_to_be_shown(session: Session, tmp_path: Path) -> None:
    with chromium() as browser:
        look(browser, (session.clone / "runs/latest/report.html").read_text(), tmp_path, "containers")


def test_the_commands_leave_nothing_on_the_pis(session: Session, cluster: Cluster) -> None:
    assert session.exit_code == 0, session.output
    assert cluster.left_behind() == []


def test_the_fingerprints_shown_are_those_on_the_pis_consoles(session: Session, cluster: Cluster) -> None:
    for pi in PIS:
        line = cluster.on(pi, "ssh-keygen", "-l", "-f", "/etc/ssh/ssh_host_ed25519_key.pub")
        assert line.split()[1] in session.output


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_a_run_prints_what_the_readme_shows(session: Session, readme: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    demo = subprocess.check_output(
        ["make", "--dry-run", "demo"], cwd=session.clone, env=environment, text=True
    )
    echoed = re.findall(r'^echo "(.*)"$', demo, re.MULTILINE)
    known = what_stays(f"{session.output}\n" + "\n".join(echoed))
    shown = printed(readme)
    assert len(shown) > 5
    assert [each for each in shown if what_stays(each) not in known] == []


def test_the_checks_are_those_of_a_report(session: Session) -> None:
    # One of π, and one of a program of one's own: each has checks that the other has not.
    reports = [json.loads(path.read_text()) for path in session.clone.glob("runs/2*/report.json")]
    assert sorted(report["workload"] for report in reports) == ["command", "pi"]
    page = (PROJECT / "docs/report.md").read_text().partition("\n## The checks\n")[2].partition("\n## ")[0]
    codes = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    made = [[check["code"] for check in report["checks"]] for report in reports]
    assert made == [[code for code in codes if code in each] for each in made]
    assert set(codes) == {code for each in made for code in each}


@pytest.mark.parametrize("words", [words for words, _, _ in STAND_INS])
def test_every_stand_in_stands_for_something(words: str) -> None:
    assert any(words in command for command in commands(READMES[0]))
