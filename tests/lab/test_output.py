"""What a person sees: a line a trial, the figures, and on a failure the line that matters, once and last."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pi_speedup.store import RunStore
from tests.browser.browser import CHROMIUM, chromium, look
from tests.lab.lab import Lab
from tests.virtual import PROJECT, Outcome, Playing, await_that, heed_interrupts, playbook_environment

# Long enough to be interrupted in the midst of a trial.
LONG: dict[str, object] = {"benchmark_samples_per_process": 3_000_000, "benchmark_rounds": 3}
FIRST_TRIAL = r"^warm-up +\S+ +\d"


@pytest.fixture(scope="module")
def success(lab: Lab) -> Outcome:
    """A run of as many rounds as by default."""
    rounds = {"benchmark_rounds": 7, "benchmark_long_rounds": 3}
    outcome = lab.play("benchmark.yml", benchmark_run_id="seven", **rounds)
    assert outcome.exit_code == 0, outcome.output
    return outcome


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_page_of_a_run_is_fit_to_be_shown(success: Outcome, tmp_path: Path) -> None:
    with chromium() as browser:
        look(browser, (success.run_dir.parent / "seven/report.html").read_text(), tmp_path, "lab")


def test_all_of_seven_rounds_fits_on_a_page(success: Outcome) -> None:
    # Trials of a thousandth of a second give nearly every doubt that there is, each with what helps.
    assert len(success.output.splitlines()) <= 72


def test_each_trial_has_its_line_in_order(success: Outcome) -> None:
    shown = re.findall(r"^(?:warm-up|round (\d) of 7) +(\S+) +[\d.]+ s on pi-1", success.output, re.MULTILINE)
    plan = RunStore(success.run_dir.parent / "seven").plan()
    assert shown == [(str(slot.round) if slot.round else "", slot.cell) for slot in plan.slots]


def test_the_plan_stands_before_the_first_trial(success: Outcome) -> None:
    before = re.split(FIRST_TRIAL, success.output, maxsplit=1, flags=re.MULTILINE)[0]
    assert "7 rounds" in before
    assert all(cell in before for cell in ("alone", "alone-long", "together-3"))
    assert re.search(r"about \d+ (s|min)", before)


def test_the_output_is_plain_text(success: Outcome) -> None:
    assert all(line.isprintable() for line in success.output.splitlines())
    assert not re.search(r"TASK|PLAY|\bok:|\[WARNING\]|\[DEPRECATION", success.output)


def test_report_yml_shows_the_figures_again(lab: Lab, success: Outcome) -> None:
    again = lab.play("report.yml", benchmark_run_id="seven")
    assert again.exit_code == 0, again.output
    assert again.output.strip() != ""
    assert success.output.endswith(again.output)


@pytest.mark.fault("cleanup twice, the second with nothing there", "(nothing)", kept="the runs", exit_code=0)
def test_cleanup_says_what_it_removed_and_then_nothing(lab: Lab, success: Outcome) -> None:
    first = lab.play("cleanup.yml")
    assert re.search(r"^removed Job pi-speedup-\S+ with \d pods", first.output, re.MULTILINE), first.output
    assert "removed namespace pi-speedup" in first.output
    second = lab.play("cleanup.yml")
    assert (second.exit_code, second.output) == (0, "")


def test_a_failure_of_the_first_trial_stands_once_and_last(lab: Lab) -> None:
    outcome = lab.play("benchmark.yml", benchmark_image="no.such/image:1")
    assert outcome.exit_code == 2
    last = outcome.output.splitlines()[-1]
    assert re.search(r"^pod \d .*no\.such/image.*Next: ", last), outcome.output
    assert outcome.output.count("[ERROR]") == 0


def test_each_pi_that_cannot_take_part_has_a_line(lab: Lab) -> None:
    for pi in ("pi-2", "pi-3"):
        lab.kubectl("cordon", pi)
    try:
        outcome = lab.play("benchmark.yml")
    finally:
        for pi in ("pi-2", "pi-3"):
            lab.kubectl("uncordon", pi)
    lines = [
        f"{pi}: cordoned (unschedulable) [PS-302]. Next: kubectl uncordon {pi}" for pi in ("pi-2", "pi-3")
    ]
    assert (outcome.exit_code, outcome.output.splitlines()) == (2, lines)


def trials_of(playing: Playing, run_id: str) -> list[Path]:
    return list((playing.run_dir.parent / run_id / "trials").glob("*.json"))


def computing(run_id: str) -> bool:
    """Say whether a worker of the run computes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--run-id={run_id}".encode() in words:
            return True
    return False


def running_jobs(lab: Lab) -> list[str]:
    jobs = lab.get("jobs", "--namespace=pi-speedup")["items"]
    return [job["metadata"]["name"] for job in jobs if job["status"].get("active")]


STOPS: dict[str, tuple[int, str]] = {
    "Ctrl-C": (signal.SIGINT, "Ctrl-C"),
    "SIGTERM": (signal.SIGTERM, "SIGTERM"),
    "SIGHUP": (signal.SIGHUP, "a closed terminal"),
}


@pytest.mark.fault(
    "SIGINT",
    "run stopped-2: stopped by Ctrl-C after 0 of 3 rounds [PS-901]. Next: "
    "ansible-playbook … -e benchmark_run_id=stopped-2",
    kept="trials; the run goes on",
    row="Ctrl-C",
)
@pytest.mark.fault(
    "SIGTERM",
    "run stopped-2: stopped by SIGTERM after 0 of 3 rounds [PS-901]. Next: "
    "ansible-playbook … -e benchmark_run_id=stopped-2",
    kept="trials; the run goes on",
    row="SIGTERM",
)
@pytest.mark.fault(
    "SIGHUP",
    "run stopped-2: stopped by a closed terminal after 0 of 3 rounds [PS-901]. Next: "
    "ansible-playbook … -e benchmark_run_id=stopped-2",
    kept="trials; the run goes on",
    row="SIGHUP",
)
@pytest.mark.parametrize(("number", "by"), STOPS.values(), ids=STOPS)
def test_a_stopped_run_says_how_it_goes_on_and_that_works(lab: Lab, number: int, by: str) -> None:
    run_id = f"stopped-{number}"
    playing = lab.start("benchmark.yml", benchmark_run_id=run_id, **LONG)
    await_that(lambda: trials_of(playing, run_id), "a first trial is on disk")
    await_that(lambda: computing(run_id), "the next one computes")
    playing.process.send_signal(number)
    outcome = playing.end(within_seconds=20)
    assert outcome.exit_code == 2, outcome.output
    last = outcome.output.splitlines()[-1]
    found = re.fullmatch(rf"run {run_id}: stopped by {by} after 0 of 3 rounds \[PS-901\]\. Next: (.*)", last)
    assert found, outcome.output
    assert f"stopping, because of {by}" in outcome.output
    assert not computing(run_id)
    assert running_jobs(lab) == []
    assert (playing.run_dir.parent / run_id / "report.json").exists()
    on = subprocess.run(
        shlex.split(found[1]),
        cwd=PROJECT,
        env=playbook_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert on.returncode == 0, on.stdout + on.stderr
    assert "Going on after 0 of 3 rounds" in on.stdout
    assert "3 of 3 rounds" in on.stdout


@pytest.mark.fault(
    "SIGINT twice", "[ERROR]: User interrupted execution", kept="trials, without a report", exit_code=99
)
def test_a_second_ctrl_c_ends_ansible_without_a_report_and_the_pods_all_the_same(lab: Lab) -> None:
    playing = lab.start("benchmark.yml", benchmark_run_id="twice", **LONG)
    await_that(lambda: trials_of(playing, "twice"), "a first trial is on disk")
    # Stopped, so that it cannot end its base case or Job before the second one comes.
    await_that(lambda: computing("twice"), "the next one computes")
    measuring = worker_of(playing)
    os.kill(measuring, signal.SIGSTOP)
    try:
        playing.process.send_signal(signal.SIGINT)
        # So long a second signal counts as the first one.
        time.sleep(1.2)
        playing.process.send_signal(signal.SIGINT)
        await_that(lambda: "[ERROR]: User interrupted" in playing.output.read_text(), "Ansible says so")
    finally:
        os.kill(measuring, signal.SIGCONT)
    outcome = playing.end(within_seconds=30)
    assert outcome.exit_code == 99, outcome.output
    await_that(lambda: not computing("twice"), "no worker computes", 15)
    await_that(lambda: running_jobs(lab) == [], "no Job runs", 15)


def worker_of(playing: Playing) -> int:
    """Return Ansible's process that measures: the one child in a session of its own."""
    children = Path(f"/proc/{playing.process.pid}/task/{playing.process.pid}/children").read_text().split()
    (found,) = [int(child) for child in children if os.getsid(int(child)) == int(child)]
    return found


@pytest.fixture
def terminal() -> Iterator[tuple[int, Callable[[], None]]]:
    """A terminal: its inner end, and what closes it."""
    outer, inner = pty.openpty()
    yield inner, lambda: os.close(outer)
    os.close(inner)


def take_the_terminal() -> None:
    heed_interrupts()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_a_terminal_that_is_closed_stops_the_run_in_order(
    lab: Lab, terminal: tuple[int, Callable[[], None]], tmp_path: Path
) -> None:
    inner, close = terminal
    runs = tmp_path / "runs"
    settings = {"benchmark_runs_dir": runs, "benchmark_run_id": "closed", **LONG}
    words = [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
    process = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(lab.folder / "inventory.yml"),
            "benchmark.yml",
            *words,
        ],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=PROJECT,
        env=playbook_environment(),
        start_new_session=True,
        preexec_fn=take_the_terminal,
    )
    await_that(lambda: list((runs / "closed/trials").glob("*.json")), "a first trial is on disk")
    close()
    assert process.wait(20) == 2
    assert not computing("closed")
    assert (runs / "closed/report.json").exists()
    assert running_jobs(lab) == []
