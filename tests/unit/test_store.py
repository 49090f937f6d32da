"""A run's folder: private, each file whole, nothing of another run taken for its own."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pi_speedup.codes import Code
from pi_speedup.model.host import Host, HostLook
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.plan import Plan
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.store import MAX_LOG_BYTES, RunStore, remove_private
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


def test_a_long_log_is_cut_and_says_so(store: RunStore, made: Plan) -> None:
    store.add(trial(made, made.slots[0]), {"pod": b"\xff" * 50_000_000})
    log = (store.folder / "logs" / made.slots[0].name / "pod.log").read_bytes()
    assert len(log) < MAX_LOG_BYTES + 100
    assert log.endswith(b"(cut: the log is longer)\n")


@pytest.mark.parametrize("name", ["../x", "/etc/x", ""])
def test_no_file_leaves_the_folder(store: RunStore, name: str) -> None:
    with pytest.raises(ProblemError):
        store.write({name: "x"})


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
    with pytest.raises(ProblemError, match="latest: not a link"):
        store.link_as_latest()


def test_only_private_folders_are_removed_and_no_link_is_followed(store: RunStore, tmp_path: Path) -> None:
    store.write({"private/kubeconfig": "key"})
    (tmp_path / "elsewhere" / "private").mkdir(parents=True)
    (store.folder.parent / "link").symlink_to(tmp_path / "elsewhere")
    assert remove_private(store.folder.parent) == [str(store.folder / "private")]
    assert (tmp_path / "elsewhere" / "private").exists()
    assert (store.folder / "plan.json").exists()


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
