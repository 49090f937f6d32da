"""The files of a run that show what ran: followed to the letter, they run it once more."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_speedup.kube.access.client import KubeClient
from pi_speedup.kube.owned.owned import Place
from pi_speedup.model.plan import Slot
from pi_speedup.model.trial import Trial
from pi_speedup.store import RunStore
from pi_speedup.workload.pi import Pi
from tests.lab.lab import Lab
from tests.lab.runs import make_place, new_plan, run
from tests.manifests import slot_of
from tests.virtual import await_that

NAMESPACE = "by-hand"
# A number to Go's YAML where it is not quoted.
RUN_ID = "1e3"


@pytest.fixture(scope="module")
def measured(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    """A run in a namespace of its own, which is gone afterwards."""
    runs = tmp_path_factory.mktemp("by-hand")
    given = {"benchmark_namespace": NAMESPACE, "benchmark_runs_dir": runs}
    done = lab.play("benchmark.yml", **given, benchmark_run_id=RUN_ID)
    assert done.exit_code == 0, done.output
    yield RunStore(runs / RUN_ID)
    lab.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


def first_trial(store: RunStore, cell: str) -> Trial:
    return next(trial for trial in store.trials() if trial.slot.cell == cell)


def commands(path: Path) -> list[list[str]]:
    """Return the words of the kubectl commands in a file's comments, in the order of the text."""
    found = re.findall(r"^# +kubectl (.+)$", path.read_text(), re.MULTILINE)
    return [words.replace(path.name, str(path)).replace("'", "").split(" ") for words in found]


def points(output: str, store: RunStore, slot: Slot, pi: str, index: int | None) -> int:
    """Return what a worker counted, whose report has to be whole and of this trial."""
    report = Pi().read(output.encode(), pi)
    assert Pi().misfit(report, store.plan(), slot, 1, pi=pi, index=index) is None
    return Pi().own(report, pi).inside


def counted(trial: Trial) -> list[int]:
    return sorted(Pi().own(each.report, each.pi).inside for each in trial.workers if each.report)


def logs(lab: Lab, store: RunStore, path: Path) -> list[int]:
    """Apply a Job's file by the commands in it; return what its pods counted."""
    apply, wait, show, _, _ = commands(path)
    trial = first_trial(store, path.stem)
    lab.kubectl(*apply)
    lab.kubectl(*wait)
    pods = re.split(r"^(?=\[pod/[^\]]*\] Estimated)", lab.kubectl(*show), flags=re.MULTILINE)[1:]
    found = []
    for pod in pods:
        text = re.sub(r"^\[pod/[^\]]*\] ", "", pod, flags=re.MULTILINE)
        report = Pi().read(text.encode(), "")
        found.append(points(text, store, trial.slot, report.node, report.completion_index))
    return sorted(found)


def test_a_run_has_a_file_for_each_cell_that_nobody_else_may_read(measured: RunStore) -> None:
    files = list((measured.folder / "manifests").iterdir())
    assert sorted(path.name for path in files) == ["alone.sh", "together-3.yaml"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.parametrize("argv", [["sh"], ["sh", "alone.sh"]], ids=["from stdin", "as a file"])
def test_the_base_case_runs_as_it_stands(measured: RunStore, argv: list[str]) -> None:
    path = measured.folder / "manifests/alone.sh"
    with path.open() as script:
        # A lab's Pis are this machine.
        done = subprocess.run(argv, stdin=script, cwd=path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trial = first_trial(measured, "alone")
    assert [points(done.stdout, measured, trial.slot, "pi-1", None)] == counted(trial)


def test_the_job_runs_again_and_then_goes_with_all_that_is_ours(
    lab: Lab, measured: RunStore, tmp_path: Path
) -> None:
    path = measured.folder / "manifests/together-3.yaml"
    trial = first_trial(measured, "together-3")
    assert logs(lab, measured, path) == counted(trial)
    # What is printed is the uid that stands in the file.
    *_, delete, uid = commands(path)
    assert f"uid: {lab.kubectl(*uid)}\n" in path.read_text().replace('"', "")
    name = delete[-1]
    given = {"benchmark_namespace": NAMESPACE, "benchmark_runs_dir": measured.folder.parent}
    cleaned = lab.play("cleanup.yml", **given)
    assert f"Job {name} with 3 pods" in cleaned.output, cleaned.output
    # What was measured stays, with these files.
    assert path.exists() and (path.parent / "alone.sh").exists()

    # After it there is no owner: without the lines that name it the Job runs, and is nobody's but ours.
    lab.kubectl("create", "namespace", NAMESPACE)
    changed = tmp_path / path.name
    changed.write_text(
        re.sub(r"^  ownerReferences:\n.*?(?=^spec:)", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    )
    assert logs(lab, measured, changed) == counted(trial)
    again = lab.play("cleanup.yml", **given)
    assert again.exit_code == 0, again.output
    assert lab.get("job", name, f"--namespace={NAMESPACE}")["status"]["succeeded"] == 3
    lab.kubectl(*delete)


def test_a_job_whose_owner_is_another_is_removed_by_kubernetes(
    lab: Lab, kubeconfig: Path, direct: KubeClient, tmp_path: Path
) -> None:
    place = make_place(direct)
    plan = new_plan(place)
    done = run(kubeconfig, place, plan)
    assert done.measured.by_hand
    path = tmp_path / f"{slot_of(plan).cell}.yaml"
    owner = direct.get(place.owner_path)["metadata"]["uid"]
    path.write_text(done.measured.by_hand.text().replace(owner, "0f9c2d4e-0000-4000-8000-000000000001"))
    apply, *_, delete, _ = commands(path)
    # The last Job of a run stays; to apply its file is not to run it again.
    assert lab.kubectl(*apply).strip().endswith("configured")
    lab.kubectl(*delete)
    lab.kubectl(*apply)
    name = delete[-1]
    await_that(lambda: direct.find(f"{place.jobs}/{name}") is None, "the Job is gone")


def test_a_cell_refused_by_the_api_server_is_shown_too(
    kubeconfig: Path, direct: KubeClient, place: Place
) -> None:
    done = run(
        kubeconfig,
        place,
        uid="0f9c2d4e-0000-4000-8000-000000000001",
        template="""---
apiVersion: batch/v1
kind: Job
metadata: {name: {{ name | tojson }}, namespace: {{ namespace | tojson }}, labels: {{ labels | tojson }}}
spec: {completions: -1}
""",
    )
    assert done.trial.outcome == "failed"
    assert done.measured.by_hand
