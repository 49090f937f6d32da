"""Text that others choose, in names, images and logs, is inert in each form of the report."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from pydantic import ValidationError

from pi_speedup.catalogue import Catalogue
from pi_speedup.cli.parser import main
from pi_speedup.codes import Code
from pi_speedup.model.compared import History
from pi_speedup.model.node import Node
from pi_speedup.model.plan import Plan
from pi_speedup.model.report import Report
from pi_speedup.model.trial import Event, Outage
from pi_speedup.problem import Problem
from pi_speedup.report.build import build_report, report_files
from pi_speedup.report.evidence import Contents
from pi_speedup.report.terminal import TABLE_COLUMNS
from pi_speedup.runs.compare import compare
from pi_speedup.runs.history import past_of
from pi_speedup.runs.page import compared_page, history_page
from pi_speedup.store import RunStore
from pi_speedup.text import columns
from tests.unit.report import factory
from tests.unit.report.test_metrics import samples
from tests.unit.report.test_page import Document

MARKUP = (
    "<script>alert(1)</script>{{ 7*7 }}{% x %} | a |\n| --- |\n# h `` `c` ``` **b** $\\frac{1}$ "
    '[l](http://evil.example) <b onclick=x>\'" <!-- ]]> --> "} 1\n# EOF\n'
    "pi_speedup_pis 99 &amp; </title></style>"
)
TERMINAL = "\x1b[31mred\x1b]0;owned\x07\x9b2J\r\x08\x00\u202egpj.exe\u2066\u200f\u2028end\x7f"
# A log in one line. Where the models have a limit, as much of it as they admit.
LONG = "x" * 5_000_000
TEXTS = {"markup and codes": TERMINAL + MARKUP, "5 MB": LONG}
FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\u202e=1"]
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def contents(text: str) -> Contents:
    """Return a run that holds this text wherever the models admit it."""
    short = text[:4096]
    plan = factory.plan(rounds=2, long_rounds=0, caveat=text[:200])

    def defect(draft: factory.Draft) -> None:
        for worker in draft.workers:
            worker.image, worker.image_ids = short, (short, f"sha256:{short[:4000]}")
        draft.events = (
            Event(reason=short, message=short, subject=short, first_seen=short, last_seen=short, count=1),
        )
        draft.outages = (Outage(what=short, began_seconds=0.1, lasted_seconds=0.2),)
        if draft.slot.round == 2 and not draft.base:
            draft.outcome = "failed"
            draft.problem = Problem(code=Code.POD_FAILED, subject=text, what=text, next_step=text)

    told_of_node = (
        "architecture",
        "kubelet_version",
        "os_image",
        "kernel_version",
        "container_runtime",
        "memory",
    )
    told_of_host = ("model", "os_name", "kernel", "runtime_version")
    nodes = factory.all_nodes(plan, **dict.fromkeys(told_of_node, short))
    return Contents(
        plan,
        factory.trials(plan, defect=defect),
        nodes.model_copy(update={"not_in_inventory": (short,)}),
        factory.hosts(plan, both={**dict.fromkeys(told_of_host, short), "governors": (short,)}),
    )


def posted(report: Report, text: str) -> Report:
    """Return a report as somebody may post it: with such text where the tool writes no such."""
    short = text[:4096]
    return Report.model_validate(
        report.model_copy(
            update={
                "caveat": short,
                "made_at": short,
                "plan_sha256": short,
                "worker_sha256": short,
                "settings": {
                    **report.settings,
                    "engine": short,
                    short: short,
                    "image": [short, {short: short}],
                },
                "tool": report.tool.model_copy(update={"name": short, "version": short}),
            }
        ).model_dump()
    )


@pytest.fixture(scope="module", params=TEXTS)
def hostile(request: pytest.FixtureRequest) -> str:
    """Each of the texts."""
    return TEXTS[request.param]


@pytest.fixture(scope="module")
def files(hostile: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report's files of a run that holds the text."""
    return report_files(factory.write(tmp_path_factory.mktemp("hostile") / "run", contents(hostile)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same of one that holds nothing but a word."""
    return report_files(factory.write(tmp_path_factory.mktemp("plain") / "run", contents("word")))


def inert(text: str, like: str) -> None:
    """See that a page has the elements of another, whatever its texts are, and no character that acts."""
    document, other = Document(text), Document(like)

    def structure(of: Document) -> list[tuple[str, list[str]]]:
        # Drawings differ by how much of a name they show.
        return [
            (tag, sorted(attributes))
            for tag, attributes in of.elements
            if not {"d", "x", "transform", "points"} & set(attributes)
            and tag not in ("g", "text", "defs", "path")
        ]

    assert structure(document) == structure(other)
    assert not CONTROL.search(text)


def test_html(files: dict[str, Any], plain: dict[str, Any], hostile: str) -> None:
    text = files["report.html"]
    inert(text, plain["report.html"])
    assert len(text) < 1_000_000
    if hostile != LONG:
        shown = "".join(data for tag, data in Document(text).texts if tag not in ("script", "style"))
        assert shown.count("<script>alert(1)</script>{{ 7*7 }}{% x %}") > 20


def test_markdown(files: dict[str, Any], plain: dict[str, Any]) -> None:
    parser = MarkdownIt("gfm-like", {"linkify": False, "html": True})

    def structure(text: str) -> list[tuple[str, str]]:
        found = []
        for token in parser.parse(text):
            inside = [
                child.type for child in token.children or () if child.type not in ("text", "text_special")
            ]
            found.append((token.type, " ".join(inside)))
        return found

    text = files["report.md"]
    assert structure(text) == structure(plain["report.md"])
    assert not CONTROL.search(text) and len(text) < 200_000


def test_csv(files: dict[str, Any], plain: dict[str, Any]) -> None:
    rows, like = (list(csv.reader(io.StringIO(each["report.csv"]))) for each in (files, plain))
    assert [len(row) for row in rows] == [len(row) for row in like]
    assert not CONTROL.search(files["report.csv"]) and len(files["report.csv"]) < 1_000_000


@pytest.mark.parametrize(
    "formula", FORMULAS, ids=["=", "+", "-", "@", "a tab before", "a hidden sign before"]
)
def test_csv_holds_no_formula(formula: str, tmp_path: Path) -> None:
    found = report_files(factory.write(tmp_path / "run", contents(formula)), ["csv"])["report.csv"]
    cells = [cell for row in csv.reader(io.StringIO(found)) for cell in row]
    assert sum(cell.startswith("'") for cell in cells) > 10
    for cell in cells:
        assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
        assert not cell.startswith("-") or re.fullmatch(r"-[0-9.e+-]+", cell), cell


def test_open_metrics(files: dict[str, Any], plain: dict[str, Any]) -> None:
    text = files["metrics.prom"]

    def names(of: str) -> list[tuple[str, list[str]]]:
        return [(name, [label for label, _ in labels]) for name, labels in samples(of)]

    assert names(text) == names(plain["metrics.prom"])
    assert not CONTROL.search(text) and len(text) < 100_000


def test_terminal(files: dict[str, Any]) -> None:
    table = files["table"]
    assert all(line.isprintable() and columns(line) <= TABLE_COLUMNS for line in table)
    assert len(table) < 400


def test_json(files: dict[str, Any]) -> None:
    # JSON escapes control characters itself; of a log's megabytes nothing gets into it.
    assert not re.search("[\x00-\x08\x0b-\x1f]", files["report.json"])
    assert len(files["report.json"]) < 1_000_000


def test_pages_of_several_runs(hostile: str) -> None:
    def pages(text: str) -> tuple[str, str]:
        one = posted(build_report(contents(text)), text)
        other = one.model_copy(update={"run_id": "other", "amount_per_process": 5})
        history = History(
            runs=(
                past_of(one),
                past_of(one).model_copy(
                    update={"run_id": text[:255], "problem": text[:4096], "ending": None}
                ),
            )
        )
        found = compare(one, other, despite=["amount"])
        return history_page(history, (None, None), Catalogue("en")), compared_page(
            found, one, other, Catalogue("en")
        )

    for text, like in zip(pages(hostile), pages("word"), strict=True):
        inert(text, like)
        assert len(text) < 1_000_000


def test_commands(hostile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    factory.write(runs / "one", contents(hostile))
    name = "".join(letter for letter in hostile[:100] if letter not in "/\0") + "x"
    RunStore(runs / name).write({"nodes.json": "{}"})
    (runs / "two.json").write_text(
        posted(build_report(contents(hostile)), hostile).model_copy(update={"run_id": "two"}).text()
    )
    main(["history", "--runs-dir", str(runs)])
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 4
    main(["compare", "one", str(runs / "two.json"), "--runs-dir", str(runs)])
    compared = capsys.readouterr().out
    main(["compare", hostile[:5000], "one", "--runs-dir", str(runs)])
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1
    main(["history", "--json", "--runs-dir", str(runs)])
    main(["compare", "--json", "one", str(runs / "two.json"), "--runs-dir", str(runs)])
    as_json = capsys.readouterr().out
    assert as_json.isascii() and "\x1b" not in as_json and "\x7f" not in as_json
    for line in (shown + compared + refused).split("\n"):
        assert line.isprintable() and len(line) < 20_000


@pytest.mark.parametrize(
    "make",
    [
        lambda text: Node(name=text),
        lambda text: Node(name="pi-1", host=text),
        lambda text: Plan.model_validate({**factory.plan().model_dump(), "run_id": text}),
    ],
    ids=["a node", "a host of the inventory", "a run"],
)
def test_names_are_names(make: Callable[[str], object], hostile: str) -> None:
    with pytest.raises(ValidationError):
        make(hostile)
