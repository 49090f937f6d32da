"""The report: its figures, its flags, its schema, and what people see of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from run_fixture import PODS, STRONG, WEAK, Edit, Files, edited, on, put, run_files, work
from test_host_state import state

from pi_speedup import report as report_module
from pi_speedup.host_state import HostState, host_file, host_record
from pi_speedup.plain import to_plain
from pi_speedup.render import escape_markdown, markdown, terminal_table
from pi_speedup.report import report_from_files
from pi_speedup.scaling import PiEstimate

CAVEAT = "virtual Pis: says nothing about real hardware"
SCHEMA = json.loads((Path(report_module.__file__).with_name("report.schema.json")).read_text())


def test_figures_of_a_run() -> None:
    report = report_from_files(run_files())
    found = {(c.scaling, c.basis): (c.speedup, c.efficiency) for c in report.comparisons}
    makespan = 10.5000012
    assert found == {
        ("strong", "compute"): pytest.approx((30.0 / makespan, 10.0 / makespan)),
        ("strong", "end_to_end"): pytest.approx((31.4 / 13.2, 31.4 / 13.2 / 3)),
        ("weak", "compute"): pytest.approx((3 * 10.05 / makespan, 10.05 / makespan)),
        ("weak", "end_to_end"): pytest.approx((3 * 11.3 / 13.2, 11.3 / 13.2)),
    }
    base = report.comparisons[0].base_case
    assert (base.host, base.runtime, base.seconds, base.samples_per_second) == ("pi-1", "docker", 30.0, 1e6)
    assert report.comparisons[1].parallel.samples_per_second == pytest.approx(30_000_000 / 13.2)
    assert (report.pi.inside, report.pi.samples) == (7854213 + 7852871 + 7854604, 30_000_000)
    assert report.flags == ()
    assert report.verdict.status == "unflagged"


def test_one_pi_has_no_spread() -> None:
    one: dict[str, Edit | None] = {
        "run.json": put(pis=["pi-1"]),
        "job.json": put(pods_expected=1),
        STRONG: work(samples=10_000_000, inside=7_854_000),
        PODS[1]: None,
        PODS[2]: None,
    }
    report = report_from_files(edited(one))
    assert report.job.pod_duration_seconds.stddev is None
    assert "none, it is a single pod" in markdown(report)
    jsonschema.validate(to_plain(report), SCHEMA)


def _all(**values: Any) -> dict[str, Edit | None]:
    return {path: work(**values) for path in PODS}


FLAGGED: dict[str, tuple[dict[str, Edit | None], str, str]] = {
    "a pod got too little CPU": (
        {PODS[1]: work(cpu_seconds=8.0)},
        "starved",
        "pod 1 on pi-2 got 0.78 of its 1.00",
    ),
    "the base case got too little CPU": (
        {STRONG: work(cpu_seconds=20.0)},
        "starved",
        "base case strong on pi-1",
    ),
    "half a core is the promise": ({PODS[0]: put(cpu_limit_cores=0.5)}, "over_budget", "its limit is 0.50"),
    "a makespan too short": (
        {PODS[1]: work(start_epoch_ns=1, end_epoch_ns=2)},
        "clocks_disagree",
        "clock of pi-2",
    ),
    "a makespan longer than the Job": ({"job.json": put(wall_seconds=5.0)}, "clocks_disagree", "whole Job"),
    "a slow Pi": ({PODS[2]: work(duration_seconds=20.0, cpu_seconds=19.8)}, "imbalance", "slowest pi-3"),
    "a pod that waited for its Pi": (
        {PODS[2]: work(start_epoch_ns=1795504536200000000, end_epoch_ns=1795504546500001200)},
        "late_start",
        "pod 2 on pi-3 started 2.20 s after the first, 18% of the makespan",
    ),
    "a run of an instant": (
        {PODS[0]: work(duration_seconds=0.5, cpu_seconds=0.5)},
        "short_run",
        "shortest: pod 0",
    ),
    "more than three Pis can give": (
        {STRONG: work(duration_seconds=40.0, cpu_seconds=39.0)},
        "superlinear",
        "127.0%",
    ),
    "a Pi slower alone than with the others": (
        {STRONG: work(duration_seconds=40.0, cpu_seconds=39.0)},
        "speed_changed",
        "slowest base case strong on pi-1",
    ),
    "base case elsewhere": ({STRONG: put(host="pi-2")}, "baseline_host", "pi-1 was asked for"),
    "base case on a stranger": ({"run.json": put(baseline_pi="nas")}, "baseline_host", "not one of the Pis"),
    "base case without container": (
        {STRONG: put(runtime="process", image=None)},
        "baseline_runtime",
        "plain process",
    ),
    "another image": (
        {WEAK: put(image="python:3.12")},
        "image_differs",
        "base case weak on pi-1 had python:3.12",
    ),
    "same name, another image": (
        {WEAK: put(image_id="python@sha256:" + "5e" * 32)},
        "image_differs",
        "sha256:5e5e",
    ),
    "another Python": ({STRONG: work(python_version="3.11.2")}, "python_differs", "CPython 3.11.2"),
    "PyPy": ({STRONG: work(python_implementation="PyPy")}, "python_differs", "PyPy 3.9.25"),
    "another machine": ({PODS[0]: work(machine="x86_64")}, "machine_differs", "pod 0 on pi-1 had x86_64"),
    "another limit": ({STRONG: put(cpu_limit_cores=None)}, "cpu_limit_differs", "had no limit"),
    "a stream drawn twice": (
        _all(rng_seed="0a"),
        "duplicate_streams",
        "pods 0, 1, 2 share seed 000000000000000a",
    ),
    "pi is four": ({PODS[0]: work(inside=10_000_000)}, "pi_implausible", "standard errors from pi"),
    "no wall time": ({WEAK: put(wall_seconds=None)}, "wall_time_missing", "base case weak"),
}


@pytest.mark.parametrize(("edits", "code", "text"), FLAGGED.values(), ids=FLAGGED.keys())
def test_what_misleads_is_flagged(edits: dict[str, Edit | None], code: str, text: str) -> None:
    report = report_from_files(edited(edits))
    flags = {flag.code: flag.text for flag in report.flags}
    assert text in flags[code]
    assert report.verdict.status == "flagged" and code in report.verdict.text
    jsonschema.validate(to_plain(report), SCHEMA)
    assert f"`{code}`" in markdown(report)
    assert any("FLAG" in line for line in terminal_table(report))


def _sha(byte: str) -> str:
    return "sha256:" + byte * 32


PULLED, PULLED_OTHER = f"docker.io/library/python@{_sha('4d')}", f"python@{_sha('5e')}"
BUILT, BUILT_OTHER = _sha("c0"), _sha("c1")
# What each of the three pods and the base cases knows the image by, the check's status, words of its text.
IMAGES: dict[str, tuple[tuple[str | None, str | None, str | None], list[str], str, str]] = {
    "pulled everywhere": ((PULLED,) * 3, [f"python@{_sha('4d')}", BUILT], "pass", f"manifest {_sha('4d')}"),
    "imported everywhere": ((BUILT,) * 3, [BUILT], "pass", f"configuration {BUILT}"),
    "imported for the pods, pulled for Docker": ((BUILT,) * 3, [PULLED, BUILT], "pass", BUILT),
    "pods differ in kind, Docker knows both": ((PULLED, BUILT, BUILT), [PULLED, BUILT], "pass", BUILT),
    "one of two repositories": ((PULLED,) * 3, [PULLED_OTHER, PULLED, BUILT], "pass", _sha("4d")),
    "dockershim's scheme": ((f"docker-pullable://python@{_sha('4d')}",) * 3, [PULLED], "pass", _sha("4d")),
    "an id without a prefix": (("c0" * 32,) * 3, [BUILT], "pass", BUILT),
    "another one was pulled": (
        (PULLED,) * 3,
        [PULLED_OTHER, BUILT],
        "flag",
        "weak on pi-1 had manifest sha256:5e",
    ),
    "another one was imported": ((BUILT,) * 3, [PULLED, BUILT_OTHER], "flag", "had configuration sha256:c1"),
    "one Pi has another": (
        (PULLED, PULLED, PULLED_OTHER),
        [PULLED, BUILT],
        "flag",
        "pod 2 on pi-3 had manifest",
    ),
    "one Pi has another, Docker built": ((PULLED, PULLED, PULLED_OTHER), [BUILT], "flag", "pod 2 on pi-3"),
    "pulled for the pods, built for Docker": (
        (PULLED,) * 3,
        [BUILT],
        "unknown",
        "pod 2 on pi-3 told the manifest's digest; base case strong on pi-1, base case weak on pi-1 told the "
        "configuration's digest",
    ),
    "a pod told none": ((PULLED, PULLED, None), [PULLED], "unknown", "pod 2 on pi-3 told no digest"),
    "base cases told none": ((PULLED,) * 3, [], "unknown", "base case weak on pi-1 told no digest"),
    "nobody told any": ((None,) * 3, [], "unknown", "told no digest"),
    "no digest at all": (("latest",) * 3, ["latest"], "unknown", "told no digest"),
}


@pytest.mark.parametrize(("pods", "base", "status", "words"), IMAGES.values(), ids=IMAGES.keys())
def test_images_are_compared_by_digests_of_one_kind(
    pods: tuple[str | None, ...], base: list[str], status: str, words: str
) -> None:
    edits: dict[str, Edit | None] = {
        path: put(image_id=known) for path, known in zip(PODS, pods, strict=True)
    }
    edits |= {path: put(image_id=base[0] if base else None, image_ids=base) for path in (WEAK, STRONG)}
    checks = {check.code: check for check in report_from_files(edited(edits)).checks}
    assert checks["image_differs"].status == status
    assert words in checks["image_differs"].text


def test_docker_and_cluster_name_one_image_differently() -> None:
    report = report_from_files(edited({WEAK: put(image="docker.io/library/python:3.9")}))
    assert report.flags == ()


def test_half_a_core_fully_used_is_not_starved() -> None:
    def half(data: dict[str, Any]) -> None:
        data["cpu_limit_cores"] = 0.5
        data["worker"]["cpu_seconds"] = 0.47 * data["worker"]["duration_seconds"]

    assert report_from_files(edited(dict.fromkeys((*PODS, STRONG, WEAK), half))).flags == ()


def test_a_stream_drawn_twice_takes_the_error_away() -> None:
    report = report_from_files(edited(_all(rng_seed="a")))
    assert (report.pi.standard_error, report.pi.z_score) == (None, None)
    assert "not independent" in markdown(report)


def test_no_wall_time_no_end_to_end_figure() -> None:
    report = report_from_files(edited({"job.json": put(wall_seconds=None)}))
    assert {comparison.basis for comparison in report.comparisons} == {"compute"}


def test_the_label_is_wherever_figures_are() -> None:
    report = report_from_files(edited({"run.json": put(caveat=CAVEAT)}))
    assert report.caveat == CAVEAT
    assert {comparison.caveat for comparison in report.comparisons} == {CAVEAT}
    assert any(CAVEAT in line for line in terminal_table(report))
    sections = markdown(report).split("\n## ")
    without_figures = ("The Pis", "How to read this")
    assert all(CAVEAT in section for section in sections if not section.startswith(without_figures))


def test_no_label_where_there_is_none() -> None:
    assert "NOTE" not in "\n".join(terminal_table(report_from_files(run_files())))


def _looked_at(after: dict[str, Any] | None = None) -> Files:
    """Return the run with its three Pis looked at; `after` changes what pi-2 said afterwards."""
    files = run_files()
    for pi in ("pi-1", "pi-2", "pi-3"):
        for when in ("before", "after"):
            changes = (after or {}) if (pi, when) == ("pi-2", "after") else {}
            look = dataclasses.replace(state(), **changes)
            files[host_file(pi, when)] = json.dumps(host_record(pi, when, look))
    return files


def test_pis_that_were_looked_at() -> None:
    report = report_from_files(_looked_at())
    assert [host.name for host in report.hosts] == ["pi-1", "pi-2", "pi-3"]
    assert {check.code: check.status for check in report.checks}["throttled"] == "pass"
    assert report.flags == ()
    jsonschema.validate(to_plain(report), SCHEMA)
    row = next(line for line in markdown(report).splitlines() if line.startswith("| pi-2 | Raspberry Pi 4"))
    assert "48.3 °C | ondemand | +0.05 s ± 0.95 s | no |" in row


def test_a_pi_that_was_throttled_and_grew_hot() -> None:
    hot = {"throttled": 0x40004, "temperature_celsius": 84.5}
    report = report_from_files(_looked_at(hot))
    assert [flag.code for flag in report.flags] == ["throttled"]
    jsonschema.validate(to_plain(report), SCHEMA)
    assert "48.3 °C → 84.5 °C" in markdown(report)
    assert "**after the run throttled; during the run throttled**" in markdown(report)


def test_a_pi_that_was_gone_afterwards() -> None:
    files = _looked_at()
    del files[host_file("pi-3", "after")]
    report = report_from_files(files)
    assert {check.code: check.status for check in report.checks}["throttled"] == "unknown"
    jsonschema.validate(to_plain(report), SCHEMA)
    assert "48.3 °C → unknown" in markdown(report)


def test_pis_that_were_not_looked_at_are_unknown() -> None:
    report = report_from_files(run_files())
    assert report.hosts == ()
    statuses = {check.code: check.status for check in report.checks}
    assert {statuses[code] for code in ("throttled", "clock_offset", "governor_differs")} == {"unknown"}
    assert "`benchmark_host_checks` is false" in markdown(report)


def test_the_same_files_give_the_same_report() -> None:
    first, second = report_from_files(run_files()), report_from_files(dict(reversed(run_files().items())))
    assert first == second and markdown(first) == markdown(second)


def test_the_schema_is_valid_and_fits() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].endswith(":v1")
    jsonschema.validate(to_plain(report_from_files(run_files())), SCHEMA)


def test_the_schema_has_exactly_the_reports_fields() -> None:
    def names(cls: Any) -> set[str]:
        return {field.name for field in dataclasses.fields(cls)}

    assert set(SCHEMA["properties"]) == set(SCHEMA["required"]) == names(report_module.Report)
    for definition, cls in (
        ("measurement", report_module.Measurement),
        ("side", report_module.Side),
        ("pi", PiEstimate),
        ("host_state", HostState),
    ):
        assert set(SCHEMA["$defs"][definition]["required"]) == names(cls)
        assert set(SCHEMA["$defs"][definition]["properties"]) == names(cls)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda report: report.pop("caveat"), "root"),
        (lambda report: report["comparisons"][0].update(speedup=0), "comparisons"),
        (lambda report: report.update(schema_version=2), "schema_version"),
        (lambda report: report.update(more=1), "root"),
    ],
    ids=["a field missing", "a speedup of zero", "another version", "a field too many"],
)
def test_the_schema_refuses(change: Any, place: str) -> None:
    report: Any = to_plain(report_from_files(run_files()))
    change(report)
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate(report, SCHEMA)
    assert "/".join(map(str, caught.value.path or ["root"])).startswith(place)


def test_the_terminal_table_fits_a_terminal() -> None:
    host = "p" * 200
    worst: dict[str, Edit | None] = {
        "run.json": put(caveat="x" * 250, baseline_pi=host),
        STRONG: on(host, cpu_seconds=1),
        WEAK: work(python_version="3.12.1", machine="x86_64"),
        **_all(rng_seed="1"),
    }
    lines = terminal_table(report_from_files(edited(worst)))
    assert max(map(len, lines)) <= 100
    assert all(line == line.rstrip() for line in lines)
    shown = " ".join(" ".join(lines).split())
    assert all(flag.code in shown for flag in report_from_files(edited(worst)).flags)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[x](http://a.b)", r"\[x\](http&#58;//a.b)"),
        ("two\nlines\x1b[31m", r"two lines \[31m"),
        ("**bold** `code` # h", r"\*\*bold\*\* \`code\` \# h"),
        ("WWW.example.org @you", "www&#46;example.org &#64;you"),
        ("containerd://2.1.5", "containerd://2.1.5"),
        ("right\u202eto left", "right to left"),
    ],
    ids=["cell border", "HTML", "link", "lines and escapes", "markup", "automatic links", "no link", "bidi"],
)
def test_foreign_text_adds_no_markup(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def test_a_foreign_node_adds_no_markup_to_the_report() -> None:
    report = report_from_files(edited({"nodes.json": put(not_in_inventory=["x\n# Hello <b>"])}))
    assert r"x \# Hello \<b\>" in markdown(report)
