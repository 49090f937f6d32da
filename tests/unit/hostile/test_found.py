"""What hostile files have found, each by itself: once an error of Python's own, or no end at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from pi_speedup.cli.runs import find_report
from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.access.server import parse_server_kubeconfig
from pi_speedup.kube.access.shape import cores
from pi_speedup.kube.follow.results import events, workers
from pi_speedup.kube.follow.tracker import Tracker
from pi_speedup.kube.owned.lease import claim_of, counts, refusal
from pi_speedup.model.settings import settings_from
from pi_speedup.pi.base import prepare, read_run
from pi_speedup.pi.runtime import image_ids
from pi_speedup.pi.shell import Outcome, ShellOutcome, sections
from pi_speedup.pi.state import host_state
from pi_speedup.plan.opening import Here, Inventory, open_door
from pi_speedup.report.build import build_report
from pi_speedup.report.evidence import read_contents
from pi_speedup.runs.compare import compare
from pi_speedup.runs.history import past, run_folders
from pi_speedup.setup.inventory import choose
from tests.unit.hostile.made_up import as_json, sound
from tests.unit.hostile.test_api import PLACE, a_list, asked, client, watched
from tests.unit.hostile.test_files import KUBECONFIG
from tests.unit.hostile.test_pi import INSPECTED, NOW, OBSERVED, SaysThis
from tests.unit.kube.objects import PLAN, SLOT, a_job, a_pod, an_event
from tests.unit.report import factory

__all__ = ["client"]
EMPTY = as_json(a_list([]))
DEEP = b'{"a":' * 100_000


@dataclass
class Given:
    """What a case needs."""

    client: KubeClient
    folder: Path

    def answer(self, item: Any, **headers: str) -> KubeClient:
        return asked(self.client, as_json(item), headers=headers)

    def run(self) -> Path:
        return factory.write(self.folder / "run", factory.contents(factory.plan(rounds=1)))

    def kubeconfig(self, user: dict[str, Any], server: str = "http://127.0.0.1:1") -> Path:
        path = self.folder / "config"
        cluster = {"server": server}
        document = {
            **KUBECONFIG,
            "clusters": [{"name": "default", "cluster": cluster}],
            "users": [{"name": "default", "user": user}],
        }
        path.write_text(yaml.safe_dump(document))
        path.chmod(0o600)
        return path


def busy(given: Given, after: str) -> object:
    other = asked(given.client, b"", b"{}", status=429, headers={"Retry-After": after})
    return other.find("/x")


def follow(given: Given, **state: Any) -> object:
    tracker = Tracker(a_job(), 1)
    for pod in given.answer(a_list(state.get("pods", [a_pod(0)]))).list_all(PLACE.pods)[0]:
        tracker.see_pod(pod, 1)
    named = [{**each, "metadata": {"name": "event", "uid": "x"}} for each in state.get("events", [])]
    for event in given.answer(a_list(named)).list_all(PLACE.events)[0]:
        tracker.see_event(event, 1)
    return tracker.ending(9), workers(tracker, PLAN, SLOT, 1, {}), events(tracker.warnings)


def claim(given: Given, **spec: Any) -> object:
    lease = {"metadata": {"name": "pi-speedup", "uid": "x"}, "spec": spec}
    found = claim_of(lease)
    return counts(found, datetime.now(UTC)), str(refusal(found))


def shell(output: bytes) -> ShellOutcome:
    return ShellOutcome(0, output)


def opened(given: Given, pis: list[str], base: Sequence[str] = (), **variables: str) -> object:
    settings = {f"benchmark_{name}": value for name, value in variables.items()}
    here = Here(given.folder, {}, given.folder, "20261124-071530", 7)
    return open_door("benchmark", settings, Inventory(pis, base or pis[:1]), here)


def planned(given: Given, **changed: Any) -> object:
    path = given.run() / "plan.json"
    path.write_bytes(as_json({**json.loads(path.read_bytes()), **changed}))
    return build_report(read_contents(path.parent))


def compared(given: Given, number: str, value: float) -> object:
    folder = given.run()
    report = json.loads(build_report(read_contents(folder)).text())
    comparison = next(each for each in report["comparisons"] if each["name"] == "compute")
    place = comparison["rounds"][0] if number in comparison["rounds"][0] else comparison["all_pis"]
    place[number] = value
    path = given.folder / "report.json"
    path.write_bytes(as_json(report))
    found = find_report(str(path), given.folder)
    return compare(found, found)


def page(given: Given, text: str) -> object:
    path = given.folder / "report.html"
    path.write_text(text)
    return find_report(str(path), given.folder)


def pod(**changed: Any) -> Any:
    return {**a_pod(0, "Succeeded", message=""), **changed}


_CELL = {
    "name": "other",
    "kind": "job",
    "pis": ["pi-1"],
    "processes_per_pi": 1,
    "samples_per_process": 10**400,
}
_BEGUN = b"\npi-speedup: output 0\n\npi-speedup: times 0\n"
# What is done, and what the line must name; None where nothing is wrong with it.
FOUND: dict[str, tuple[Callable[[Given], object], str | None]] = {
    "Retry-After is not a number": (lambda given: busy(given, "nan"), "API server"),
    "Retry-After is below zero": (lambda given: busy(given, "-5"), "API server"),
    "a date at the end of time": (
        lambda given: given.answer(a_pod(0), Date="Fri, 31 Dec 9999 23:59:59 -2300").find("/x"),
        None,
    ),
    "a list that never ends": (
        lambda given: given.answer(a_list([], **{"continue": "more"})).list_all(PLACE.pods),
        None,
    ),
    "an object without a name": (
        lambda given: given.answer(a_list([{"metadata": {"uid": "x"}}])).list_all(PLACE.pods),
        "API server",
    ),
    "an object whose name is a path": (
        lambda given: given.answer(a_list([{"metadata": {"name": "../x", "uid": "x"}}])).list_all(PLACE.pods),
        "API server",
    ),
    "a change of nothing": (
        lambda given: watched(given.client, b'{"type": "ADDED", "object": {}}\n'),
        "API server",
    ),
    "a change of two numbers": (
        lambda given: watched(given.client, b'{"type": "ADDED", "object": ["ab"]}\n'),
        "API server",
    ),
    "a line that never ends": (lambda given: watched(given.client, b"x" * 5_000_000), "API server"),
    "a pod without containers": (lambda given: follow(given, pods=[pod(spec={"nodeName": "pi-1"})]), None),
    "a pod whose parts have wrong types": (
        lambda given: follow(
            given, pods=[pod(spec="x", status={"phase": "Failed", "containerStatuses": [7]})]
        ),
        None,
    ),
    "a condition without a type": (
        lambda given: follow(given, pods=[pod(status={"conditions": [{"status": "True"}]})]),
        None,
    ),
    "an event about nothing": (
        lambda given: follow(given, events=[{**an_event("x", "y"), "involvedObject": None}]),
        None,
    ),
    "a CPU limit beyond Decimal": (lambda given: cores("1e9999999"), None),
    "a claim for ever": (
        lambda given: claim(given, renewTime="2026-11-24T07:15:30Z", leaseDurationSeconds=10**30),
        None,
    ),
    "a claim from the beginning of time": (
        lambda given: claim(
            given, renewTime="0001-01-01T00:00:00+23:59", acquireTime="9999-12-31T23:59:59-23:59"
        ),
        None,
    ),
    "a node that tells nothing": (
        lambda given: choose(given.answer(a_list([a_pod(0)])).list_all("/x")[0]),
        None,
    ),
    "a token of two lines": (
        lambda given: KubeClient(given.kubeconfig({"token": "a\nb"})).find("/x"),
        "kubeconfig ",
    ),
    "a kubeconfig without a server": (
        lambda given: KubeClient(given.kubeconfig({}, server="")).find("/x"),
        "kubeconfig ",
    ),
    "a kubeconfig whose server is not an address": (
        lambda given: KubeClient(given.kubeconfig({}, server="pi-1:6443")).find("/x"),
        "kubeconfig ",
    ),
    "an end of a watch in very many words": (
        lambda given: watched(
            given.client, as_json({"type": "ERROR", "object": {"message": "x" * 9000}}) + b"\n"
        ),
        "API server",
    ),
    "a run without a name": (lambda given: find_report("", given.folder), "''"),
    "a cluster beside one": (
        lambda given: parse_server_kubeconfig(
            yaml.safe_dump(
                {
                    **KUBECONFIG,
                    "clusters": [
                        {
                            "name": "default",
                            "cluster": {**KUBECONFIG["clusters"][0]["cluster"], "server": "https://x"},  # type: ignore[index]
                        },
                        7,
                    ],
                }
            ),
            pi="pi-1",
            path="k3s.yaml",
        ).pointing_to("10.0.0.1"),
        None,
    ),
    "YAML of many floors": (lambda given: parse_server_kubeconfig("[" * 5000, pi="pi-1", path="k"), "pi-1"),
    "an exit code of 5,000 digits": (
        lambda given: sections("pi-1", shell(b"\npi-speedup: end " + b"9" * 5000 + b"\n")),
        "pi-1",
    ),
    "no word of the image": (
        lambda given: prepare(
            SaysThis([shell(b"\npi-speedup: end 0\n")]), "pi-1", settings_from({}), [], print
        ),
        "pi-1",
    ),
    "a time of 400 digits": (
        lambda given: read_run(
            "pi-1", shell(_BEGUN + b"begun " + b"9" * 400 + b".0 1\nended " + b"9" * 400 + b".0 2 0\n")
        ),
        "pi-1",
    ),
    "an image of many floors": (lambda given: image_ids(Outcome(0, DEEP.decode()), "x"), None),
    "a Pi's time of 400 digits": (
        lambda given: host_state(
            "pi-1", {**OBSERVED, "first_epoch_ns": 10**400}, asked_ns=NOW, answered_ns=NOW
        ),
        "pi-1",
    ),
    "a setting of 5,000 digits": (
        lambda given: settings_from({"benchmark_rounds": 10**5000}),
        "benchmark_rounds",
    ),
    "a path with a zero byte": (
        lambda given: opened(given, ["pi-1"], runs_dir="a\0b"),
        "benchmark_runs_dir",
    ),
    "a path that is too long": (lambda given: opened(given, ["pi-1"], runs_dir="x" * 4000), "xxx"),
    "a base Pi with a name of 4,000 letters": (
        lambda given: opened(given, ["pi-1"], base=["pi-1", "x" * 4000]),
        "inventory: ",
    ),
    "a Pi without a name": (lambda given: opened(given, [""]), "inventory: "),
    "an order of other cells": (lambda given: planned(given, order=[["nobody"]]), "plan.json"),
    "no cell of all Pis": (lambda given: planned(given, cells=[], order=[[]]), "plan.json"),
    "samples of 400 digits": (lambda given: planned(given, cells=[_CELL]), "plan.json"),
    "a base Pi that is not one of them": (lambda given: planned(given, base_pi="pi-9"), "plan.json"),
    "a report of no time": (lambda given: compared(given, "all_pis_seconds", 0), "report.json"),
    "a report of no samples": (lambda given: compared(given, "samples", 0), "report.json"),
    "a page that is not quite one": (lambda given: page(given, "<html><![x["), "report.html"),
}


@pytest.mark.parametrize(("case", "named"), FOUND.values(), ids=FOUND)
def test_it_is_one_line_or_nothing(
    client: KubeClient, case: Callable[[Given], object], named: str | None, tmp_path: Path
) -> None:
    raised: list[str] = []

    def note() -> object:
        try:
            return case(Given(client, tmp_path))
        except Exception as error:
            raised.append(str(error))
            raise

    sound(note, [named or "nothing may be wrong"], longest=400)
    assert bool(raised) is (named is not None)


def test_ids_of_an_image_fit_into_a_trial() -> None:
    found = image_ids(
        Outcome(0, json.dumps([{**INSPECTED, "RepoDigests": ["x" * 9000] * 500}])), "python:3.9"
    )
    assert found and len(found) < 100 and max(map(len, found)) < 4096


def test_a_folder_that_cannot_be_read_has_its_line_in_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run-1").mkdir()

    def refuses(path: object) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuses)
    (entry,) = run_folders(tmp_path)
    monkeypatch.setattr(Path, "lstat", refuses)
    line, report = past(entry)
    assert report is None and "plan.json: cannot be read (Permission denied)" in str(line.problem)
