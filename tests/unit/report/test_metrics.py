"""metrics.prom, read by the reference parsers of OpenMetrics and of the older text format."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as text_format

from pi_speedup.catalogue import Catalogue
from pi_speedup.report.build import build_report, report_files
from pi_speedup.report.metrics import metrics
from tests.unit.report import factory

# Without types.
open_metrics: Any = openmetrics_parser.text_string_to_metric_families

# Backslashes and quotes at the places where escaping goes wrong.
HOSTILE = 'x"} 1\n# EOF\npi_speedup_pis 99 \\" \x1b[31m\u202e \\'


def samples(text: str, parse: Any = open_metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


RUNS: dict[str, Any] = {
    "a whole run": lambda: factory.contents(hosts=factory.hosts(factory.plan())),
    "one round": lambda: factory.contents(factory.plan(rounds=1)),
    "one Pi": lambda: factory.contents(factory.plan(1)),
    "a sweep": lambda: factory.contents(factory.plan(4, sweep=True)),
    "no round": lambda: factory.contents(rounds=0),
    "hostile words": lambda: factory.contents(factory.plan(caveat=HOSTILE)),
}


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS)
def test_both_parsers_read_the_same(make: Any) -> None:
    text = metrics(build_report(make()), (), Catalogue("en"))
    found = samples(text)
    assert found and found == samples(text, text_format)
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1 + text.count("1 # EOF")
    families = list(open_metrics(text))
    # What node_exporter's collector would refuse.
    assert {family.type for family in families} == {"gauge"}
    assert all(sample.timestamp is None for family in families for sample in family.samples)


def test_the_figures_are_those_of_the_report() -> None:
    plan = factory.plan()
    report = build_report(factory.contents(plan, hosts=factory.hosts(plan)))
    found = samples(metrics(report, (), Catalogue("en")))
    first = report.comparisons[0]
    assert first.speedup is not None and first.speedup.interval is not None

    def value(name: str, **labels: str) -> float:
        return found[f"pi_speedup_{name}", tuple(sorted(labels.items()))]

    for bound, expected in (
        ("estimate", first.speedup.value),
        ("low", first.speedup.interval.low),
        ("high", first.speedup.interval.high),
    ):
        assert value("speedup_ratio", comparison="compute", bound=bound) == expected
    assert value("time_seconds", comparison="compute", side="all_pis") == first.all_pis.seconds.geometric_mean
    assert value("pis") == 3 and value("rounds", state="complete") == 7
    assert value("verdict", verdict=report.verdict.status) == 1
    assert value("pi_temperature_celsius", pi="pi-2", when="after") == 48.3
    assert value("pi_samples_per_second", pi="pi-2") == report.pi_figures[1].amount_per_second
    # 2026-11-24T07:15:30Z
    assert value("run_made_timestamp_seconds") == 1_795_504_530
    flagged = {check.code for check in report.checks if check.status == "flag"}
    for check in report.checks:
        if check.status != "unknown":
            assert value("check_flagged", code=check.code) == (check.code in flagged)


def test_what_is_not_known_is_left_out() -> None:
    text = metrics(build_report(factory.contents(rounds=0)), (), Catalogue("en"))
    for name in ("speedup", "efficiency", "time_seconds", "pi_samples", "temperature"):
        assert f"pi_speedup_{name}" not in text
    assert samples(text)["pi_speedup_verdict", (("verdict", "none"),)] == 1


def test_foreign_words_add_no_sample() -> None:
    plain = metrics(build_report(factory.contents()), (), Catalogue("en"))
    hostile = metrics(build_report(factory.contents(factory.plan(caveat=HOSTILE))), (), Catalogue("en"))
    assert len(samples(hostile)) == len(samples(plain))
    (labels,) = (dict(labels) for name, labels in samples(hostile) if name == "pi_speedup_run_info")
    assert labels["caveat"] == 'x"} 1 # EOF pi_speedup_pis 99 \\" [31m \\'


def test_it_is_one_of_the_files_where_it_is_asked_for(tmp_path: Any) -> None:
    contents = factory.contents(factory.plan(rounds=1))
    folder = factory.write(tmp_path / "run", contents)
    assert report_files(folder, ["metrics"])["metrics.prom"] == metrics(
        build_report(contents), (), Catalogue("en")
    )
    assert "metrics.prom" not in report_files(folder, ["json"])
