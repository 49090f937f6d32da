"""A run's folder: what belongs together is read, everything else refused with a line that names the file."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from run_fixture import PODS, STRONG, WEAK, Edit, edited, on, put, run_files, work

from pi_speedup.results import baseline_result, read_run_folder


def test_a_whole_run_is_read() -> None:
    folder = read_run_folder(run_files())
    assert [pod.host for pod in folder.pods] == ["pi-1", "pi-2", "pi-3"]
    assert [baseline.scaling for baseline in folder.baselines] == ["strong", "weak"]
    assert folder.not_in_inventory == ("nas",)


def test_other_files_and_settings_are_left_aside() -> None:
    files = {**edited({"run.json": put(kubeconfig="/x")}), "events.json": "[", "report.json": "{}"}
    assert read_run_folder(files) == read_run_folder(run_files())


@pytest.mark.parametrize(
    ("fields", "image_ids"),
    [
        ({"image_id": "sha256:1"}, ("sha256:1",)),
        ({"image_id": None}, ()),
        ({"image_id": "a@sha256:2", "image_ids": ["a@sha256:2", "sha256:1"]}, ("a@sha256:2", "sha256:1")),
        ({"image_id": "a@sha256:2", "image_ids": []}, ()),
    ],
    ids=["of before", "of before, without", "both digests", "none that could be compared"],
)
def test_what_an_image_is_known_by(fields: dict[str, Any], image_ids: tuple[str, ...]) -> None:
    folder = read_run_folder(edited({WEAK: put(**fields)}))
    assert folder.baselines[1].image_ids == image_ids


def test_one_scaling_needs_its_baseline_only() -> None:
    folder = read_run_folder(edited({"run.json": put(scalings=["weak"]), STRONG: None}))
    assert [baseline.scaling for baseline in folder.baselines] == ["weak"]


REFUSED: dict[str, tuple[dict[str, Edit | None], str]] = {
    "no run.json": ({"run.json": None}, "run.json: missing"),
    "no job.json": ({"job.json": None}, "job.json: missing"),
    "no results": (dict.fromkeys((*PODS, STRONG, WEAK)), "there are no results"),
    "a pod's result missing": ({PODS[1]: None}, "no result of pod 1 "),
    "two pods' results missing": ({PODS[0]: None, PODS[2]: None}, "no result of pod 0, 2 "),
    "no baseline for strong": ({STRONG: None}, "baseline-strong.json: missing"),
    "no baseline for weak": ({WEAK: None}, "baseline-weak.json: missing"),
    "the Job failed": (
        {"job.json": put(outcome="failed", reason="DeadlineExceeded", message="too\nlong")},
        r"job.json: Job \S+ failed \(DeadlineExceeded: too long\)",
    ),
    "schema of the future": ({"run.json": put(schema_version=2)}, "run.json: schema_version must be 1"),
    "a result's schema of the future": ({PODS[0]: put(schema_version=9)}, "pod-0.json: schema_version"),
    "another run's pod": ({PODS[0]: work(run_id="other")}, "pod-0.json: of run other"),
    "another engine": ({PODS[0]: work(engine="numpy")}, "different engines are mixed"),
    "another size": ({PODS[0]: work(samples=20_000_000)}, "different sizes are mixed"),
    "a strong baseline of weak size": ({STRONG: work(samples=10_000_000, inside=1)}, "sizes are mixed"),
    "a duration of zero": ({PODS[0]: work(duration_seconds=0)}, "pod-0.json: worker: duration_seconds"),
    "a negative duration": ({PODS[0]: work(duration_seconds=-1)}, "pod-0.json: worker: duration_seconds"),
    "NaN": ({PODS[0]: work(duration_seconds=float("nan"))}, "pod-0.json: NaN is no measurement"),
    "a wall time of infinity": ({STRONG: put(wall_seconds=float("inf"))}, "strong.json: Infinity"),
    "a Job that took no time": ({"job.json": put(wall_seconds=0)}, "job.json: wall_seconds"),
    "a pod under another's name": ({PODS[0]: work(completion_index=1, stream="1")}, "belongs into"),
    "another pod's stream": ({PODS[0]: work(stream="1")}, "drawn from random stream 1, not 0"),
    "two pods on one Pi": (
        {PODS[1]: on("pi-1")},
        "pod-1.json: ran on pi-1, as pod 0 did",
    ),
    "a pod on a foreign node": (
        {PODS[1]: on("nas")},
        "pod-1.json: ran on nas",
    ),
    "worker and cluster disagree": ({PODS[1]: work(node="pi-1")}, "the cluster says pi-2"),
    "fewer Pis than pods": ({"run.json": put(pis=["pi-1", "pi-2"])}, "mixed|pods expected"),
    "a Pi twice": ({"run.json": put(pis=["pi-1", "pi-1", "pi-2"])}, "run.json: pis must be"),
    "an unknown scaling": ({"run.json": put(scalings=["medium"])}, "run.json: scalings must be"),
    "a baseline without scaling": ({WEAK: put(scaling=None)}, "baseline-weak.json: scaling"),
    "a thousand names of an image": ({WEAK: put(image_ids=["a"] * 1000)}, "baseline-weak.json: image_ids"),
    "an image's name of a novel's size": ({WEAK: put(image_ids=["a" * 513])}, "weak.json: image_ids"),
    "an image's name that is none": ({WEAK: put(image_ids=[1])}, "weak.json: image_ids"),
    "a name with markup": ({PODS[0]: put(name="<b>")}, "pod-0.json: name"),
}


@pytest.mark.parametrize(("edits", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_belong_together_is_refused(edits: dict[str, Edit | None], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_run_folder(edited(edits))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (PODS[0], '{"schema_version": 1, "kind"', "pod-0.json: no valid JSON, perhaps cut off"),
        ("run.json", "", "run.json: empty"),
        ("results/pod-99.json.json", "{}", "no result of ours"),
        ("results/pod-1\n.json", "{}", "no result of ours"),
    ],
    ids=["truncated", "empty", "foreign file", "a line break in a name"],
)
def test_a_damaged_file_is_refused(path: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_run_folder({**run_files(), path: text})
    assert "\n" not in str(caught.value)


def _baseline_log(**changes: Any) -> str:
    worker = {**json.loads(run_files()[WEAK])["worker"], **changes}
    line = json.dumps(worker, separators=(",", ":"))
    return f"Estimated Pi: 3.14\n{line}\nPI-WORKER-END sha256={hashlib.sha256(line.encode()).hexdigest()}\n"


BASELINE: dict[str, Any] = {
    "scaling": "weak",
    "name": "c1",
    "host": "pi-1",
    "runtime": "docker",
    "image": "python:3.9",
    "image_id": None,
    "image_ids": [],
    "cpu_limit_cores": 1.0,
    "wall_seconds": 11.3,
    "run_id": "20261124-071530-3fa2",
    "samples": 10_000_000,
}


def test_a_baseline_log_becomes_its_result() -> None:
    result = baseline_result(_baseline_log(), **BASELINE)
    assert (result.kind, result.scaling, result.worker.samples) == ("baseline", "weak", 10_000_000)


@pytest.mark.parametrize(
    ("log", "options", "message"),
    [
        (_baseline_log()[:-3], {}, "baseline c1 on pi-1: worker output: cut off"),
        (_baseline_log(run_id="other"), {}, "its run id is other"),
        (_baseline_log(stream="baseline-strong"), {}, "its stream is baseline-strong"),
        (_baseline_log(samples=9_000_000), {}, "its number of samples is 9000000"),
        (_baseline_log(), {"wall_seconds": 0}, "wall_seconds"),
        (_baseline_log(), {"wall_seconds": float("nan")}, "wall_seconds"),
        (_baseline_log(), {"runtime": "lxc"}, "runtime must be one of"),
    ],
    ids=["cut off", "another run", "another stream", "another size", "no time", "NaN", "unknown runtime"],
)
def test_a_baseline_log_of_something_else_is_refused(log: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        baseline_result(log, **{**BASELINE, **options})
    assert "\n" not in str(caught.value)
