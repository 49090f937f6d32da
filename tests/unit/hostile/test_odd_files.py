"""What else may lie where a run's file should: nothing is waited for, read beyond its bound, or followed."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from pi_speedup.cli.parser import main
from pi_speedup.cli.runs import find_report
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.access.kubeconfig import current_cluster, load_kubeconfig
from pi_speedup.plan.opening import Here, Inventory, open_door
from pi_speedup.problem import ProblemError
from pi_speedup.report.build import report_files
from pi_speedup.runs.history import past
from pi_speedup.setup.preload import read_archive
from tests.unit.report import factory

PLAN = factory.plan(rounds=1)
_GIB = 2**30
# A guard, not a bound: what would wait for ever, or take all memory, fails instead.
_PATIENCE_SECONDS, _SPARE_BYTES = 60, 768 * 2**20


@pytest.fixture(autouse=True)
def no_hang_and_no_flood() -> Iterator[None]:
    def stop(number: int, frame: object) -> NoReturn:
        raise AssertionError("it waits for what never comes")

    before = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _SPARE_BYTES, hard))
    signal.alarm(_PATIENCE_SECONDS)
    yield
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    signal.signal(signal.SIGALRM, before)


def a_huge_file(path: Path) -> None:
    path.touch()
    os.truncate(path, _GIB)


def a_link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (os.mkfifo, "a named pipe, not a file"),
    "a link to a pipe": (a_link_to_a_pipe, "a link, not a file"),
    "a link to endless zeros": (lambda path: path.symlink_to("/dev/zero"), "a link, not a file"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "a link, not a file"),
    "a link to nowhere": (lambda path: path.symlink_to("nowhere"), "a link, not a file"),
    "a link to another file": (lambda path: path.symlink_to("/etc/hostname"), "a link, not a file"),
    "a folder": (Path.mkdir, "a folder, not a file"),
    "a GiB": (a_huge_file, f"{_GIB} bytes, more than the "),
}
PLACES = ("plan.json", "nodes.json", f"trials/{PLAN.slots[0].name}.json", "hosts/pi-1.before.json")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return factory.write(tmp_path / "runs" / factory.RUN, factory.contents(PLAN, hosts=factory.hosts(PLAN)))


def put(odd: str, path: Path) -> None:
    path.unlink(missing_ok=True)
    ODD[odd][0](path)


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(ProblemError) as error:
        action()
    return str(error.value)


def go_on(run: Path) -> object:
    here = Here(run.parent, {}, run.parent, "20261124-071530", 7)
    variables = {f"benchmark_{name}": value for name, value in PLAN.settings.model_dump(mode="json").items()}
    variables |= {"benchmark_run_id": run.name, "benchmark_runs_dir": str(run.parent)}
    inventory = Inventory(list(PLAN.pis), [PLAN.base_pi])
    return open_door("benchmark", variables, inventory, here, sha256_of=lambda _: PLAN.worker_sha256)


@pytest.mark.fault(
    "a named pipe among a run's trials",
    "…/trials/r000-00-alone.json: a named pipe, not a file "
    "[PS-703]. Next: take it from a copy of the run, "
    "or move a trial out of the folder and measure it anew",
    kept="the run as it is; the other runs are shown",
    row="a pipe-trials/r000-00-alone.json",
)
@pytest.mark.fault(
    "a link to /dev/zero among a run's files",
    "…/nodes.json: a link, not a file "
    "[PS-703]. Next: take it from a copy of the run, "
    "or move a trial out of the folder and measure it anew",
    kept="the run as it is; the other runs are shown",
    row="a link to endless zeros-nodes.json",
)
@pytest.mark.fault(
    "1 GiB where a run's file should be",
    "…/plan.json: 1073741824 bytes, more than the 16777216 expected "
    "[PS-703]. Next: take it from a copy of the run, "
    "or move a trial out of the folder and measure it anew",
    kept="the run as it is; the other runs are shown",
    row="a GiB-plan.json",
)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("odd", ODD)
def test_in_a_runs_folder_it_is_one_line(run: Path, odd: str, place: str) -> None:
    put(odd, run / place)
    line, report = past(run)
    assert report is None and line.problem is not None
    told = [line.problem, refused(lambda: report_files(run, ["json"]))]
    if place != "hosts/pi-1.before.json":
        # Going on asks for the plan and the trials, and for the nodes by their names.
        told.append(refused(lambda: go_on(run)))
    for each in told:
        assert f"{run / place}: {ODD[odd][1]}" in each
        assert "[PS-703]" in each


@pytest.mark.fault(
    "a link that loops in place of a run's trials",
    "…/trials: cannot be read (Too many levels of symbolic links) [PS-702]. "
    "Next: take it from a copy of the run, "
    "or move a trial out of the folder and measure it anew",
    kept="the run as it is; the other runs are shown",
    row="a link to itself-trials",
)
@pytest.mark.parametrize("folder", ["trials", "hosts"])
@pytest.mark.parametrize("odd", [name for name in ODD if name not in ("a folder", "a link to nowhere")])
def test_a_folder_that_is_none_does_not_count_as_empty(run: Path, odd: str, folder: str) -> None:
    shutil.rmtree(run / folder)
    put(odd, run / folder)
    line, report = past(run)
    assert report is None and line.problem is not None
    assert f"{run / folder}" in line.problem and "cannot be read (" in line.problem


@pytest.mark.parametrize("odd", ODD)
def test_a_report_that_is_none_is_made_anew(run: Path, odd: str) -> None:
    put(odd, run / "report.json")
    line, report = past(run)
    assert report is not None and line.problem is None


@pytest.mark.parametrize("odd", ODD)
def test_the_other_runs_are_shown(run: Path, odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    for number, place in enumerate(PLACES):
        bad = run.with_name(f"bad-{number}")
        shutil.copytree(run, bad)
        put(odd, bad / place)
    assert main(["history", "--runs-dir", str(run.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("unreadable: " in line for line in lines) == len(PLACES)
    assert sum(line.startswith(f"{run.name} ") and "unreadable" not in line for line in lines) == 1


@pytest.mark.fault(
    "a kubeconfig that is a pipe or a device",
    "kubeconfig …: a named pipe, not a file [PS-432]. Next: give the path of a kubeconfig file",
    kept="nothing begun",
    row=["a pipe", "a link to endless zeros"],
)
@pytest.mark.parametrize("odd", ["a pipe", "a link to endless zeros", "a GiB"])
def test_what_a_user_names_is_refused_too(run: Path, odd: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    put(odd, path)
    if not path.is_symlink():
        path.chmod(0o600)
    for action in (lambda: load_kubeconfig(path, str(tmp_path)), lambda: current_cluster(path)):
        with pytest.raises(KubeError, match=r"given: .*\[PS-43[24]\]"):
            action()
    if odd != "a GiB":
        with pytest.raises(ProblemError, match=r"given: .*\[PS-811\]"):
            read_archive(path, "python:3.9", "arm64")
    assert main(["compare", "--runs-dir", str(run.parent), str(path), run.name]) == 2


def test_a_link_that_a_user_names_leads_to_the_file(run: Path, tmp_path: Path) -> None:
    (run / "report.json").write_text(report_files(run, ["json"])["report.json"])
    link = tmp_path / "link.json"
    link.symlink_to(run / "report.json")
    assert find_report(str(link), run.parent) == find_report(run.name, run.parent)
