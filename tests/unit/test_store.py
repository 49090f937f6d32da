"""A run's folder: private, each file whole, nothing of another run taken for its own."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pi_speedup.codes import Code
from pi_speedup.model.base import Model
from pi_speedup.model.host import Host, HostLook
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.plan import Plan
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.store import MAX_LOG_BYTES, RunStore
from tests.look_alikes import seen
from tests.unit.plan.factory import plan, trial
from tests.unit.report.factory import state


@pytest.fixture
def made() -> Plan:
    return plan(rounds=1)


@pytest.fixture
def store(tmp_path: Path, made: Plan) -> RunStore:
    found = RunStore(tmp_path / "runs" / "x")
    found.seal(made)
    return found


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_nothing_is_open_to_others_whatever_the_umask(tmp_path: Path, made: Plan) -> None:
    store = RunStore(tmp_path / "runs" / "x")
    store.seal(made)
    store.add(trial(made, made.slots[0]), {"pod": "log"})
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "runs").rglob("*")}
    modes[tmp_path / "runs"] = stat.S_IMODE((tmp_path / "runs").stat().st_mode)
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}


def test_what_was_written_is_read_again(store: RunStore, made: Plan) -> None:
    trials = [trial(made, slot) for slot in made.slots]
    for each in reversed(trials):
        store.add(each)
    assert store.plan() == made
    assert list(store.trials()) == trials


def test_a_trial_is_never_written_twice(store: RunStore, made: Plan) -> None:
    store.add(trial(made, made.slots[0]))
    with pytest.raises(ProblemError, match="measured already"):
        store.add(trial(made, made.slots[0]))


def test_a_trial_has_the_hash_of_its_file(store: RunStore, made: Plan) -> None:
    assert store.last_sha256(()) == made.sha256
    store.add(trial(made, made.slots[0]))
    (path,) = (store.folder / "trials").iterdir()
    # As a version would have written it that knew no Jobs.
    path.write_text(
        json.dumps({key: value for key, value in json.loads(path.read_bytes()).items() if key != "job"})
    )
    (read,) = store.trials()
    assert store.last_sha256([read]) == hashlib.sha256(path.read_bytes()).hexdigest() != read.sha256


def test_a_plan_is_never_changed(store: RunStore) -> None:
    with pytest.raises(ProblemError, match="sealed already"):
        store.seal(plan(rounds=2))


def test_a_trial_of_another_plan_is_refused(store: RunStore) -> None:
    other = plan(rounds=1, samples_per_process=5)
    store.add(trial(other, other.slots[0]))
    with pytest.raises(ProblemError, match=r"trials/r000-00-.*a trial of another plan"):
        store.trials()


def test_a_renamed_trial_is_refused(store: RunStore, made: Plan) -> None:
    store.add(trial(made, made.slots[0]))
    there = store.folder / f"trials/{made.slots[0].name}.json"
    there.rename(there.with_name(f"{made.slots[1].name}.json"))
    with pytest.raises(ProblemError, match="its content belongs into"):
        store.trials()


@pytest.mark.fault(
    "a run's file spoilt",
    "…/x/plan.json: empty [PS-703]. Next: take it from a copy of the run, or move a trial"
    " out of the folder and measure it anew",
    kept="the other files",
    row="empty",
)
@pytest.mark.fault("a run's file spoilt", row=["cut", "NaN", "twice"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"a": NaN}', "NaN is not a measurement"),
        ('{"a": 1, "a": 2}', "a key is given twice"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"schema_version": 1}', "is"),
    ],
    ids=["empty", "cut", "list", "NaN", "twice", "long number", "deep", "fields missing"],
)
def test_a_spoilt_file_is_one_line_that_names_it(store: RunStore, content: str, words: str) -> None:
    (store.folder / "plan.json").write_text(content)
    with pytest.raises(ProblemError) as refused:
        store.plan()
    assert refused.value.problem.subject == str(store.folder / "plan.json")
    assert words in refused.value.problem.what
    assert refused.value.problem.next_step.startswith("take it from a copy of the run")


@pytest.mark.fault("log of 50 MB", "survived", kept="its first 256 KiB, and a line that says so")
def test_a_long_log_is_cut_and_says_so(store: RunStore, made: Plan) -> None:
    store.add(trial(made, made.slots[0]), {"pod": b"\xff" * 50_000_000})
    log = (store.folder / "logs" / made.slots[0].name / "pod.log").read_bytes()
    assert len(log) < MAX_LOG_BYTES + 100
    assert log.endswith(b"(cut: the log is longer)\n")


@pytest.mark.parametrize("name", ["../outside", "logs/../../outside", "/tmp/outside", ""])
def test_no_file_leaves_the_folder(store: RunStore, name: str) -> None:
    with pytest.raises(ProblemError, match="not a path inside the run's folder"):
        store.write({name: "x"})
    assert [path.name for path in store.folder.parent.iterdir()] == ["x"]


@pytest.mark.fault(
    "runs folder is a file",
    "…/runs/x/plan.json: cannot be written (File exists) [PS-701]. Next: make room there "
    "or give write permission; what was written before is whole",
    kept="nothing begun",
)
def test_a_full_or_closed_disk_is_one_line_with_the_file(tmp_path: Path, made: Plan) -> None:
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(
        ProblemError, match=r"plan\.json: cannot be written \(.*\) \[PS-701\]\. Next: make room"
    ):
        RunStore(tmp_path / "runs" / "x").seal(made)


def test_latest_leads_to_the_newest_run_and_replaces_no_folder(store: RunStore) -> None:
    store.link_as_latest()
    other = RunStore(store.folder.parent / "y")
    other.write({"a": "b"})
    other.link_as_latest()
    assert (store.folder.parent / "latest").readlink() == Path("y")
    (store.folder.parent / "latest").unlink()
    (store.folder.parent / "latest").mkdir()
    with pytest.raises(ProblemError, match="latest: not a link to a run"):
        store.link_as_latest()


@pytest.mark.fault(
    "a link of others called latest",
    "…/latest: not a link to a run [PS-704]. Next: move it away, or choose another benchmark_runs_dir",
    kept="theirs",
)
def test_no_link_of_others_is_replaced(store: RunStore, tmp_path: Path) -> None:
    link = store.folder.parent / "latest"
    (store.folder.parent / "thesis").mkdir()
    for target in ("thesis", str(tmp_path), "../runs", "latest", "My Thesis"):
        link.symlink_to(target)
        with pytest.raises(ProblemError, match=r"latest: not a link to a run \[PS-704\]\. Next: move it"):
            store.link_as_latest()
        assert str(link.readlink()) == target
        link.unlink()
    # Of a run that is gone.
    link.symlink_to("y")
    store.link_as_latest()
    assert sorted(path.name for path in store.folder.parent.iterdir()) == ["latest", "thesis", "x"]


def of_others(folder: Path) -> dict[str, Callable[[Path], object]]:
    """Return what may have the name of a file that is to be written."""
    (folder / "elsewhere").write_text("mine")
    return {
        "file": lambda path: path.write_text("mine"),
        "json": lambda path: path.write_text('{"apiVersion": "v1", "items": []}'),
        "link": lambda path: path.symlink_to(folder / "elsewhere"),
        "dangling": lambda path: path.symlink_to(folder / "nowhere"),
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
    }


NODES = Nodes(nodes=(Node(name="pi-1"),), not_in_inventory=())


@pytest.mark.fault(
    "a file of others where a run writes",
    "…/nodes.json: there already, and not a run's [PS-704]. "
    "Next: move it away, or choose another benchmark_run_id",
    kept="theirs",
    row="before the plan-json",
)
@pytest.mark.parametrize("kind", ["file", "json", "link", "dangling", "pipe", "folder"])
@pytest.mark.parametrize("sealed", [False, True], ids=["before the plan", "beside a plan"])
def test_a_file_of_others_is_not_replaced(tmp_path: Path, made: Plan, kind: str, sealed: bool) -> None:
    store = RunStore(tmp_path / "runs" / "x")
    store.write({"hosts/pi-2.before.json": HostLook(pi="pi-2", when="before", state=state())})
    files: dict[str, Model | str] = {
        "nodes.json": NODES,
        "hosts/pi-1.before.json": HostLook(pi="pi-1", when="before", state=state()),
    }
    if sealed:
        store.seal(made)
        files = {"report.html": "<html>", "logs/a/pod.log": "log"}
        (store.folder / "logs/a").mkdir(parents=True)
    for name in files:
        of_others(tmp_path)[kind](store.folder / name)
    before = seen(tmp_path)
    for name, content in files.items():
        if sealed and kind in ("file", "json"):
            # What is called so beside a plan is the run's.
            assert store.write({name: content}) == [name]
            continue
        with pytest.raises(ProblemError, match=rf"{name}: .*\[PS-704\]\. Next: move it away"):
            store.write({name: content})
    if not (sealed and kind in ("file", "json")):
        assert seen(tmp_path) == before


def test_what_a_run_wrote_it_writes_anew(store: RunStore) -> None:
    folder = store.folder.with_name("y")
    other = RunStore(folder)
    other.write({"nodes.json": NODES})
    changed = Nodes(nodes=(Node(name="pi-2"),), not_in_inventory=())
    assert other.write({"nodes.json": changed}) == ["nodes.json"]
    assert other.write({"nodes.json": changed}) == []
    store.write({"report.md": "one"})
    assert store.write({"report.md": "two"}) == ["report.md"]


def test_what_was_seen_of_an_address_becomes_its_pis(store: RunStore) -> None:
    looks = {when: HostLook(pi="10.0.0.7", when=when, state=state()) for when in ("before", "after")}
    store.write({f"hosts/10.0.0.7.{when}.json": look for when, look in looks.items()})
    store.write({"nodes.json": Nodes(nodes=(Node(name="pi-1", host="10.0.0.7"),), not_in_inventory=())})
    assert (store.pi_of("10.0.0.7"), store.pi_of("pi-2")) == ("pi-1", "pi-2")
    store.rename_looks("10.0.0.7", "pi-1")
    store.rename_looks("pi-1", "pi-1")
    assert store.hosts(["pi-1"]) == (Host(name="pi-1", before=state(), after=state()),)
    assert sorted(path.name for path in (store.folder / "hosts").iterdir()) == [
        "pi-1.after.json",
        "pi-1.before.json",
    ]


CORES = {
    "by the cluster": (Nodes(nodes=(Node(name="pi-1", cores=4),), not_in_inventory=()), 2, {"pi-1": 4}),
    "by itself": (
        Nodes(nodes=(Node(name="pi-1"),), readable=False, not_in_inventory=()),
        2,
        {"pi-1": 2},
    ),
    "not at all": (Nodes(nodes=(Node(name="pi-1"),), readable=False, not_in_inventory=()), None, {}),
    "and there is no nodes.json": (None, 2, {"pi-1": 2}),
}


@pytest.mark.parametrize(("nodes", "seen", "cores"), CORES.values(), ids=CORES)
def test_the_cores_are_told(
    store: RunStore, nodes: Nodes | None, seen: int | None, cores: dict[str, int]
) -> None:
    store.write({"hosts/pi-1.before.json": HostLook(pi="pi-1", when="before", state=state(cores=seen))})
    if nodes is not None:
        store.write({"nodes.json": nodes})
    assert store.cores(["pi-1", "pi-2"]) == cores


def test_without_nodes_a_host_is_called_as_in_the_inventory(store: RunStore) -> None:
    assert store.pi_of("10.0.0.7") == "10.0.0.7"


def test_each_session_keeps_what_was_seen_of_the_pis(store: RunStore) -> None:
    for session, celsius in ((1, 40.0), (2, 70.0)):
        look = HostLook(pi="pi-1", when="before", session=session, state=state(temperature_celsius=celsius))
        store.write({look.file: look})
    names = sorted(path.name for path in (store.folder / "hosts").iterdir())
    assert names == ["pi-1.before.2.json", "pi-1.before.json"]
    seen = [(host.session, host.before and host.before.temperature_celsius) for host in store.hosts(["pi-1"])]
    assert seen == [(1, 40.0), (2, 70.0)]


def test_what_a_pi_lacked_is_kept_and_is_no_look_at_it(store: RunStore) -> None:
    lacks = (Problem(code=Code.SSH_UNREACHABLE, subject="pi-2", what="cannot be reached"),)
    looks = {"pi-1": HostLook(pi="pi-1", when="before", state=state())}
    looks["pi-2"] = HostLook(pi="pi-2", when="before", state=None, problems=lacks)
    store.write({f"hosts/{pi}.before.json": look for pi, look in looks.items()})
    assert store.unfit(["pi-1", "pi-2", "pi-3"]) == {"pi-2": lacks}
    assert [host.before for host in store.hosts(["pi-1", "pi-2"])] == [state(), None]


def test_a_pi_has_its_name_in_the_inventory_also_where_it_is_left_out(store: RunStore) -> None:
    nodes = tuple(Node(name=f"pi-{number}", host=f"10.0.0.{number}") for number in (1, 2))
    store.write({"nodes.json": Nodes(nodes=nodes[:1], not_in_inventory=(), left_out=nodes[1:])})
    assert (store.pi_of("10.0.0.2"), store.host_of("pi-1"), store.host_of("pi-9")) == (
        "pi-2",
        "10.0.0.1",
        "pi-9",
    )


def test_the_seal_is_that_of_the_file_whatever_version_wrote_it(tmp_path: Path) -> None:
    store, made = RunStore(tmp_path / "run"), plan()
    store.seal(made)
    path = tmp_path / "run" / "plan.json"
    # A version that did not know a setting of today wrote none.
    older = json.loads(path.read_text())
    del older["settings"]["scratch_mib"]
    path.write_text(json.dumps(older, indent=2))
    read = store.plan()
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != made.sha256
    assert read == made
    store.add(trial(read, read.slots[0]))
    assert [each.plan_sha256 for each in store.trials()] == [read.sha256]
    assert read.model_copy(update={"order_seed": 5}).sha256 != read.sha256
