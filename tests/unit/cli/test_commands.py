"""The commands as one types them: what they print, their exit codes, and what they make of mistakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.cli.output import Exit, aligned
from pi_speedup.cli.parser import main
from pi_speedup.codes import Code
from pi_speedup.model.report import Report
from pi_speedup.problem import Problem
from pi_speedup.report.build import build_report, report_files
from pi_speedup.report.evidence import Contents
from pi_speedup.store import RunStore
from tests.look_alikes import seen
from tests.unit.report import factory

PROJECT = Path(__file__).resolve().parents[3]
HOSTILE = "x\n# <b> | `c` \x1b[31m\u202e @you"


def contents(run_id: str, hour: int, faster: float = 1.0, seed: int = 1, **settings: Any) -> Contents:
    plan = factory.plan(**settings).model_copy(
        update={"run_id": run_id, "made_at": f"2026-11-25T{hour:02d}:00:00Z"}
    )
    old, factory.RATE = factory.RATE, factory.RATE * faster
    try:
        return factory.contents(plan, seed=seed)
    finally:
        factory.RATE = old


def report(run_id: str, hour: int, **how: Any) -> Report:
    return build_report(contents(run_id, hour, **how))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: two equal ones, one that is faster, one of other samples, two that failed."""
    folder = tmp_path_factory.mktemp("runs")
    made = {
        # Named against the order in which they were made.
        "zz-before": contents("zz-before", 1),
        "again": contents("again", 2, seed=2),
        "cooled": contents("cooled", 3, faster=1.2, seed=3),
        "short": contents("short", 4, samples_per_process=5_000_000),
    }
    for name, what in made.items():
        factory.write(folder / name, what)
    stopped = contents("stopped", 5, caveat=HOSTILE)
    trials = list(stopped.trials[:3])
    problem = Problem(code=Code.POD_FAILED, subject=HOSTILE, what=HOSTILE, next_step="look")
    trials[-1] = trials[-1].model_copy(
        update={"outcome": "failed", "problem": problem, "workers": (), "wall_seconds": None}
    )
    factory.write(folder / "stopped", Contents(stopped.plan, tuple(trials)))
    RunStore(folder / "no-plan").write({"nodes.json": "{}"})
    (folder / "latest").symlink_to("cooled")
    return folder


def test_history_lists_every_run_in_the_order_of_time(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--runs-dir", str(runs)]) == Exit.EQUAL
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "RUN",
        "MADE",
        "(UTC)",
        "PIS",
        "ROUNDS",
        "SPEEDUP",
        "INTERVAL",
        "SECONDS",
        "VERDICT",
    ]
    assert [line.split()[0] for line in lines[:-1]] == [
        "no-plan",
        "zz-before",
        "again",
        "cooled",
        "short",
        "stopped",
    ]
    assert lines[0].endswith("unreadable: it ended before it had a plan")
    assert lines[1].split()[1:5] == ["2026-11-25", "01:00:00", "3", "7/7"]
    assert "  0/7        -" in lines[5] and "none; stopped by x # <b>" in lines[5]
    assert lines[-1].startswith("NOTE stopped: x # <b>")
    assert all(line.isprintable() and line == line.rstrip() for line in (head, *lines))


def test_history_as_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--json", "--runs-dir", str(runs)]) == Exit.EQUAL
    found = json.loads(capsys.readouterr().out)
    assert found["schema_version"] == 1
    by_name = {each["run_id"]: each for each in found["runs"]}
    assert by_name["cooled"]["rounds_complete"] == 7 and by_name["stopped"]["speedup"] is None


def test_history_tells_how_many_of_the_pis_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factory.write(tmp_path / "x", factory.contents(factory.degraded()))
    assert main(["history", "--runs-dir", str(tmp_path)]) == Exit.EQUAL
    assert "  2 of 3     7/7  " in capsys.readouterr().out.splitlines()[1]
    page = tmp_path / "history.html"
    assert main(["history", "--runs-dir", str(tmp_path), "--html", str(page)]) == Exit.EQUAL
    assert ">2 of 3</td>" in page.read_text()


def test_history_of_nothing_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--runs-dir", str(tmp_path)]) == Exit.EQUAL
    assert len(capsys.readouterr().out.splitlines()) == 1


COMPARED: dict[str, tuple[tuple[str, ...], Exit, str]] = {
    "equal": (
        ("zz-before", "again"),
        Exit.EQUAL,
        "again against zz-before: equal within the margin of 3 % (",
    ),
    "faster": (("zz-before", "latest"), Exit.FASTER, "cooled against zz-before: faster by "),
    "slower": (("cooled", "zz-before"), Exit.SLOWER, "zz-before against cooled: slower by "),
    "no evidence": (("zz-before", "stopped"), Exit.NO_EVIDENCE, "stopped against zz-before: no evidence: "),
    "not comparable": (("zz-before", "short"), Exit.NOT_COMPARABLE, "not comparable: samples of a process"),
    "a wide margin": (("--margin", "50%", "zz-before", "cooled"), Exit.EQUAL, "margin of 50 %"),
    "in spite of it": (
        ("--despite", "amount", "zz-before", "short"),
        Exit.EQUAL,
        "short against zz-before: equal",
    ),
}


@pytest.mark.parametrize(("words", "code", "line"), COMPARED.values(), ids=COMPARED)
def test_compare(
    runs: Path, words: tuple[str, ...], code: Exit, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--runs-dir", str(runs), *words]) == code
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert line in lines[0] and shown.err == ""
    assert (len(lines) == 1) == (code == Exit.NOT_COMPARABLE)
    assert all(each.isprintable() and each == each.rstrip() for each in lines)
    assert main(["compare", "--json", "--runs-dir", str(runs), *words]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["words"] in lines[0] and Exit[found["outcome"].upper()] == code


def test_what_was_let_pass_is_said(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "--runs-dir", str(runs), "--despite", "amount,limits", "zz-before", "short"])
    assert "Compared despite: samples of a process 10,000,000 and 5,000,000\n" in capsys.readouterr().out


def test_a_doubtful_run_is_said(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def starved(draft: factory.Draft) -> None:
        for worker in draft.workers:
            worker.cpu_share = 0.5

    plan = factory.plan().model_copy(update={"run_id": "starved"})
    folder = factory.write(tmp_path / "x", factory.contents(plan, defect=starved))
    main(["compare", "--runs-dir", str(runs), "zz-before", str(folder)])
    assert (
        "NOTE starved is doubtful: pi-1 in alone in round 1 got 0.50 of its 1.00 cores and 30 more. "
        "Something else may " in capsys.readouterr().out
    )


def page(data: str) -> str:
    return (
        '<!doctype html><script>"not this"</script><script type="application/json" id="other">{}</script>'
        f'<script type="application/json" id="report">{data}</script><p>after</p>'
    )


@pytest.mark.parametrize("name", ["report.json", "report.html", "other.html", "folder"])
def test_a_run_may_be_named_by_what_it_left(
    name: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posted = report("posted", 6, seed=4, caveat="</script> & <b>")
    text = posted.text()
    folder = factory.write(tmp_path / "folder", contents("posted", 6, seed=4, caveat="</script> & <b>"))
    given = tmp_path / name
    if name == "report.html":
        given.write_text(report_files(folder, ["html"])["report.html"])
    elif name == "other.html":
        given.write_text(page(text.replace("<", "\\u003c").replace("&", "\\u0026")))
    elif name == "folder":
        assert given == folder
    else:
        given.write_text(text)
    assert main(["compare", "--runs-dir", str(runs), "zz-before", str(given)]) == Exit.EQUAL
    assert "posted against zz-before: equal" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "title"),
    [
        (("history",), Exit.EQUAL, "Runs over time"),
        (("history", "--language", "zh-TW"), Exit.EQUAL, "歷次測試"),
        (("compare", "zz-before", "cooled"), Exit.FASTER, "cooled against zz-before"),
        (("compare", "zz-before", "short"), Exit.NOT_COMPARABLE, "short against zz-before"),
    ],
    ids=["history", "history in Chinese", "compare", "not comparable"],
)
def test_a_page_is_written_beside_what_is_printed(
    runs: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    code: Exit,
    title: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = (*words, "--runs-dir", str(runs))
    assert main(given) == code
    printed = capsys.readouterr().out
    written = tmp_path / "new folder/page.html"
    assert main([*given, "--html", str(written)]) == code
    assert capsys.readouterr().out == printed
    assert f"<title>{title}</title>" in written.read_text("utf-8")
    assert [path.name for path in written.parent.iterdir()] == ["page.html"]
    assert main([*given, "--html", str(written), "--json"]) == code
    assert json.loads(capsys.readouterr().out)["schema_version"] == 1


def test_a_page_that_cannot_be_written_is_a_problem(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["history", "--runs-dir", str(runs), "--html", str(tmp_path / "file/x.html")]) == Exit.PROBLEM
    shown = capsys.readouterr()
    assert "x.html: cannot be written (" in shown.err and "another --html" in shown.err
    assert shown.err.count("\n") == 1 and shown.out == ""


OF_OTHERS: dict[str, Callable[[Path], object]] = {
    "a thesis": lambda path: path.write_text("<html><p>my thesis</p></html>"),
    "a link to a page": lambda path: path.symlink_to("other.html"),
    "a link to a device": lambda path: path.symlink_to("/dev/null"),
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
}


@pytest.mark.fault(
    "a file of others where --html writes",
    "…/page.html: there already, and not made here [PS-704]. Next: move it away, or choose another --html",
    kept="theirs",
    row="a thesis",
)
@pytest.mark.parametrize("put", OF_OTHERS.values(), ids=OF_OTHERS)
def test_a_page_takes_the_place_of_no_other_file(
    runs: Path, tmp_path: Path, put: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.html").write_text("mine")
    page = tmp_path / "page.html"
    put(page)
    before = seen(tmp_path)
    assert main(["history", "--runs-dir", str(runs), "--html", str(page)]) == Exit.PROBLEM
    assert "[PS-704]. Next: move it away, or choose another --html" in capsys.readouterr().err
    assert seen(tmp_path) == before


def test_nothing_heavy_is_imported_without_a_page(runs: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pi_speedup.cli.parser import main\n"
        f"main(['history', '--runs-dir', {str(runs)!r}])\n"
        "print([name for name in ('matplotlib', 'pi_speedup.report.page') if name in sys.modules])"
    )
    done = start("-c", script, cwd=tmp_path, PYTHONPATH=str(PROJECT / "src"))
    assert done.stdout.decode().splitlines()[-1] == "[]", done.stderr.decode()


PROBLEMS: dict[str, tuple[tuple[str, ...], str]] = {
    "no such run": (("compare", "zz-before", "nothing"), "nothing: neither a file or folder, nor a run in "),
    "a path that leads out": (("compare", "zz-before", "../x"), "../x: neither a file or folder"),
    "the same run": (("compare", "cooled", "latest"), "cooled: given as A and as B [PS-911]. Next: "),
    "a page without a report": (("compare", "zz-before", "PAGE"), "no report is embedded in this page"),
    "no report": (("compare", "zz-before", "JSON"), "not JSON"),
    "not a run": (("compare", "zz-before", "/"), "/: not the folder of a run"),
}


@pytest.mark.parametrize(("words", "line"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_is_one_line_and_code_2(
    runs: Path, tmp_path: Path, words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "PAGE").write_text("<p>hello</p>")
    (tmp_path / "JSON").write_text("hello")
    named = [str(tmp_path / word) if word in ("PAGE", "JSON") else word for word in words]
    assert main([*named, "--runs-dir", str(runs)]) == Exit.PROBLEM
    shown = capsys.readouterr()
    assert line in shown.err and shown.err.count("\n") == 1 and shown.out == ""


MISUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "no command": ((), "the following arguments are required: COMMAND"),
    "an unknown one": (("compere",), "invalid choice: 'compere'"),
    "one run": (("compare", "a"), "required: B"),
    "a word as margin": (("compare", "a", "b", "--margin", "wide"), "'wide' is not a number from 0 to 100"),
    "a margin of nothing": (("compare", "a", "b", "--margin", "nan"), "'nan' is not a number from 0 to 100"),
    "an unknown difference": (
        ("compare", "a", "b", "--despite", "python,colour"),
        "'colour' is not one of workload, command, amount",
    ),
    "a user name of no kind": (("inventory", "--user", "{{ x }}"), "'{{ x }}' is not a valid user name"),
}


@pytest.mark.parametrize(("words", "line"), MISUSED.values(), ids=MISUSED)
def test_misuse_is_code_2(words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == Exit.PROBLEM
    assert line in capsys.readouterr().err


CONTEXT = """
apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: a, context: {cluster: a, user: u}}]
current-context: a
users: [{name: u, user: %s}]
"""
KUBECONFIGS: dict[str, tuple[str, str]] = {
    "no YAML": ("x: [", "malformed: while parsing"),
    "no kubeconfig": ("[1, 2]", "malformed: it isn't built like one"),
    "no such context": ((CONTEXT % "{}").replace("-context: a", "-context: b"), "name b"),
    "a certificate that is not there": (
        CONTEXT % "{client-certificate: x, client-key: y}",
        "File does not exist",
    ),
    "a program that is not there": (
        CONTEXT % "{exec: {apiVersion: client.authentication.k8s.io/v1, command: kubelogin-not-here}}",
        "does not work here .*kubelogin-not-here.* Next: install that program; or",
    ),
}


@pytest.mark.parametrize(("text", "what"), KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_an_inventory_from_a_broken_kubeconfig_names_the_options_of_its_command(
    text: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    path.chmod(0o600)
    assert main(["inventory", "--kubeconfig", str(path), "--output", "-"]) == Exit.PROBLEM
    shown = capsys.readouterr()
    assert re.search(rf"^kubeconfig {path}: .*{what}", shown.err) and shown.err.count("\n") == 1
    assert shown.err.endswith(
        "--server pi@ADDRESS fetches that of the K3s server there; or name one with --kubeconfig FILE\n"
    )


@pytest.mark.parametrize("command", ["history", "compare", "inventory"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"\nexamples:\n  python -m pi_speedup {command}" in shown
    assert shown.isascii() and max(map(len, shown.splitlines())) <= 110


def test_compare_names_each_exit_code_and_so_does_the_documentation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    documented = (PROJECT / "docs/commands.md").read_text("utf-8")
    shown = " ".join(capsys.readouterr().out.split())
    for code in Exit:
        words = code.name.lower().replace("_", " ")
        assert f"| `{int(code)}` |" in documented, words
        assert f"{int(code)} {'wrong arguments' if code == Exit.PROBLEM else words}" in shown


def test_columns_are_as_wide_as_a_terminal_shows_them() -> None:
    rows = [["a", "1"], ["\N{CJK UNIFIED IDEOGRAPH-4E00}", "22"], ["\x1b[31mred", "3\n3"]]
    assert aligned(rows, right=[1]) == [
        "a          1",
        "\N{CJK UNIFIED IDEOGRAPH-4E00}        22",
        "[31mred  3 3",
    ]


def start(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env={**clean, **environment}, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "environment"),
    [((str(PROJECT / "src/pi_speedup"),), {}), (("-m", "pi_speedup"), {"PYTHONPATH": str(PROJECT / "src")})],
    ids=["by its folder", "as a module"],
)
def test_it_starts_anywhere(
    words: tuple[str, ...], environment: dict[str, str], runs: Path, tmp_path: Path
) -> None:
    # The names of our modules as files beside it: none of them is taken for ours.
    for name in ("text", "model", "store", "problem"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    done = start(*words, "history", "--runs-dir", str(runs), cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"RUN ")


def test_a_terminal_that_takes_ascii_only_gets_no_traceback(tmp_path: Path) -> None:
    factory.write(tmp_path / "x", contents("x", 1, rounds=1, caveat="\N{CJK UNIFIED IDEOGRAPH-4E00}"))
    folder = str(PROJECT / "src/pi_speedup")
    done = start(folder, "history", "--runs-dir", str(tmp_path), cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr.decode()
    assert b"NOTE x: \\u4e00" in done.stdout


def test_nobody_reading_is_no_error(runs: Path) -> None:
    folder = str(PROJECT / "src/pi_speedup")
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, folder, "history", "--json", "--runs-dir", str(runs)],
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert process.communicate()[1] == b""
    assert process.returncode == 141


WAYS_OUT = {
    "stdout closed": (">&-", 0, 2),
    "stderr closed": ("2>&-", 0, 2),
    "both closed": (">&- 2>&-", 0, 2),
    "stdout full": (">/dev/full", 2, 2),
    "both full": (">/dev/full 2>&1", 2, 2),
    "nobody reads": ("| true", 141, 2),
    "nobody reads either": ("2>&1 | true", 141, 2),
}


@pytest.mark.parametrize(("way", "code", "problem_code"), WAYS_OUT.values(), ids=WAYS_OUT)
def test_streams_that_take_nothing_are_no_traceback(
    runs: Path, tmp_path: Path, way: str, code: int, problem_code: int
) -> None:
    for folder, expected in ((runs, code), (tmp_path / "none", problem_code)):
        command = f"set -o pipefail; {sys.executable} -m pi_speedup history --runs-dir {folder} {way}"
        done = subprocess.run(
            ["bash", "-c", command],
            env={**os.environ, "PYTHONPATH": str(PROJECT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, done.stderr
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
        if way == ">/dev/full" and folder == runs:
            assert done.stderr == (
                "standard output: cannot be written (No space left on device) [PS-701]. "
                "Next: make room where it goes to\n"
            )
