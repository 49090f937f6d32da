"""What a door finds out before anything is done: each mistake is one line, in the words that were typed."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pi_speedup.codes import Code
from pi_speedup.model.node import Node, Nodes
from pi_speedup.model.run import Door, Run
from pi_speedup.plan.left_out import left_out
from pi_speedup.plan.opening import Here, Inventory, open_door, settings_of
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.store import RunStore
from tests.unit.plan import factory

GOOD = Inventory(pis=["pi-1", "pi-2", "pi-3"], base=["pi-1"])
WITH_SERVER = replace(GOOD, server=["pi-2"])
SHA = "0" * 64


def here(folder: Path, **environment: str) -> Here:
    return Here(folder / "clone", environment, folder / "home", "20261125-120000", 0xBEEF)


def opened(folder: Path, inventory: Inventory = GOOD, door: Door = "benchmark", **settings: object) -> Run:
    given = {f"benchmark_{name}": value for name, value in settings.items()}
    return open_door(door, given, inventory, here(folder), sha256_of=lambda _: SHA)


def limited(limit: str, *reached: str, server: list[str] | None = None) -> Inventory:
    return replace(GOOD, limit=limit, reached=reached, server=server)


MISTAKES: dict[str, tuple[Inventory, str]] = {
    "no group pis": (replace(GOOD, pis=None), r"inventory: there is no group `pis` \[PS-111\]\. Next: "),
    "empty group pis": (replace(GOOD, pis=[]), r"inventory: the group `pis` is empty \[PS-111\]\. Next: "),
    "no group base": (replace(GOOD, base=None), r"inventory: there is no group `base` \[PS-111\]\. Next: "),
    "empty group base": (replace(GOOD, base=[]), r"inventory: the group `base` is empty \[PS-111\]\. Next: "),
    "two base Pis": (
        replace(GOOD, base=["pi-1", "pi-3"]),
        r"inventory: the group `base` has 2 Pis \(pi-1, pi-3\).*Next: leave one",
    ),
    "base Pi that is none of the Pis": (
        replace(GOOD, base=["pi-9"]),
        r"pi-9: in the group `base`, but not in `pis` \[PS-111\]\. Next: ",
    ),
    "Pi named twice": (
        replace(GOOD, pis=["pi-1", "pi-2", "pi-1"]),
        r"pi-1: named twice in the group `pis` \[PS-112\]\. Next: ",
    ),
    "Pi named as no node can be": (
        replace(GOOD, pis=["pi-1", "Pi 2"]),
        r"Pi 2: not the name of a node \[PS-113\]\. Next: ",
    ),
    "limit that leaves Pis out": (
        limited("pi-2", "pi-2"),
        r"--limit pi-2: leaves pi-1, pi-3 out \[PS-106\]\. Next: take them out of the inventory",
    ),
    "limit that leaves the server out": (
        limited("pis", "localhost", "pi-1", "pi-2", "pi-3", server=["k3s"]),
        r"--limit pis: leaves k3s out \[PS-106\]\. Next: take it out of the inventory",
    ),
    "limit that leaves this machine out": (
        limited("pis", "pi-1", "pi-2", "pi-3"),
        r"--limit pis: leaves this machine \(localhost\) out \[PS-106\]\. Next: ",
    ),
}


@pytest.mark.parametrize("door", ["benchmark", "cleanup", "preload", "rbac"])
@pytest.mark.parametrize(("inventory", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_inventory_is_one_line(
    tmp_path: Path, door: Door, inventory: Inventory, line: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        opened(tmp_path, inventory, door)
    assert re.match(line, str(caught.value))


@pytest.mark.parametrize("door", ["cleanup", "preload", "rbac"])
def test_a_door_for_another_namespace_is_opened_in_a_folder_of_its_own(tmp_path: Path, door: Door) -> None:
    """Both at once would else read the namespace that the other one wrote."""
    assert len({opened(tmp_path, door=door, namespace=namespace).dir for namespace in ("a", "b")}) == 2


def test_a_limit_that_leaves_all_is_well(tmp_path: Path) -> None:
    inventory = limited("all,localhost", "localhost", "pi-1", "pi-2", "pi-3")
    assert opened(tmp_path, inventory).pis == ("pi-1", "pi-2", "pi-3")


def test_check_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"^--check: .*Next: run it without"):
        open_door("benchmark", {}, GOOD, here(tmp_path), check_mode=True)


def test_a_new_run_is_named_by_time_and_chance(tmp_path: Path) -> None:
    run = opened(tmp_path)
    assert run.id == "20261125-120000-beef"
    assert run.dir == str(tmp_path / "clone/runs/20261125-120000-beef")
    assert not run.continues
    assert not Path(run.dir).exists()


FOLDERS = {
    "none": ("", "clone/runs"),
    "relative, to the project": ("other/runs", "clone/other/runs"),
    "of the home": ("~/runs", "home/runs"),
    "absolute": ("/srv/runs", "/srv/runs"),
}


@pytest.mark.parametrize(("given", "expected"), FOLDERS.values(), ids=FOLDERS)
def test_the_folder_of_the_runs(tmp_path: Path, given: str, expected: str) -> None:
    assert opened(tmp_path, runs_dir=given).runs_dir == str(tmp_path / expected)


KUBECONFIGS: dict[str, tuple[str, dict[str, str], Inventory, str, str]] = {
    "given": ("/a/config", {"KUBECONFIG": "/b"}, WITH_SERVER, "/a/config", ""),
    "given, of the home": ("~/config", {}, GOOD, "home/config", ""),
    "of the environment": ("", {"KUBECONFIG": "/b"}, WITH_SERVER, "/b", ""),
    "fetched": ("", {}, WITH_SERVER, "clone/runs/x/private/kubeconfig", "pi-2"),
    "the usual": ("", {}, GOOD, "home/.kube/config", ""),
    "the usual, with an empty group server": (
        "",
        {"KUBECONFIG": ""},
        replace(GOOD, server=[]),
        "home/.kube/config",
        "",
    ),
}


@pytest.mark.parametrize(
    ("given", "environment", "inventory", "path", "fetch_from"), KUBECONFIGS.values(), ids=KUBECONFIGS
)
def test_the_kubeconfig_is_chosen_once(
    tmp_path: Path, given: str, environment: dict[str, str], inventory: Inventory, path: str, fetch_from: str
) -> None:
    settings = {"benchmark_kubeconfig": given, "benchmark_run_id": "x"}
    run = open_door("benchmark", settings, inventory, here(tmp_path, **environment), sha256_of=lambda _: SHA)
    assert (run.kubeconfig, run.fetch_from) == (str(tmp_path / path), fetch_from)


def test_several_kubeconfigs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=r"^\$KUBECONFIG: names several files \[PS-435\]\. Next: "):
        open_door("benchmark", {}, GOOD, here(tmp_path, KUBECONFIG="/a:/b"))


def sealed(folder: Path, rounds_done: int = 0, **settings: Any) -> RunStore:
    """Seal a plan as run x, with so many rounds measured."""
    store = RunStore(folder / "clone/runs/x")
    plan = factory.plan(**settings)
    store.seal(plan)
    for trial in factory.first_rounds(plan, rounds_done) if rounds_done else ():
        store.add(trial)
    return store


def test_an_unfinished_run_goes_on(tmp_path: Path) -> None:
    assert opened(tmp_path, run_id="x").session == 1
    sealed(tmp_path, rounds_done=2)
    run = opened(tmp_path, run_id="x")
    assert run.continues and run.session == 2


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    sealed(tmp_path)
    with pytest.raises(ProblemError, match=r"benchmark_samples_per_process was '' and is 5000.*Next: "):
        opened(tmp_path, run_id="x", samples_per_process=5000)


def test_a_complete_run_is_refused_once_its_report_is_made(tmp_path: Path) -> None:
    store = sealed(tmp_path, rounds_done=2, rounds=2)
    # Killed between the last trial and the report: going on makes the report.
    assert opened(tmp_path, run_id="x", rounds=2).continues
    store.write({"report.json": "{}"})
    with pytest.raises(
        ProblemError, match=r"^run x: it is complete \[PS-713\]\. Next: ansible-playbook report.yml"
    ):
        opened(tmp_path, run_id="x", rounds=2)


def test_a_complete_run_with_the_report_of_its_first_half_goes_on(tmp_path: Path) -> None:
    store = sealed(tmp_path, rounds_done=2, rounds=2)
    store.write({"report.json": "{}"})
    os.utime(store.folder / "report.json", ns=(1, 1))
    assert opened(tmp_path, run_id="x", rounds=2).continues


def test_a_run_that_broke_off_before_its_plan_begins_anew(tmp_path: Path) -> None:
    RunStore(tmp_path / "clone/runs/x").write({"nodes.json": "{}", "hosts/pi-1.before.json": "{}"})
    assert not opened(tmp_path, run_id="x").continues


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    RunStore(tmp_path / "clone/runs/x").write({"thesis.txt": ""})
    with pytest.raises(
        ProblemError, match=r"/runs/x: not the folder of a run, it holds thesis\.txt \[PS-704\]\. Next: "
    ):
        opened(tmp_path, run_id="x")


def test_the_report_door_needs_no_inventory_and_takes_the_latest(tmp_path: Path) -> None:
    store = sealed(tmp_path)
    store.link_as_latest()
    run = opened(tmp_path, Inventory(pis=None, base=None), "report")
    assert (run.id, run.dir) == ("x", str(store.folder))


@pytest.mark.parametrize(
    ("run_id", "what"), [("", "no run yet"), ("y", "no such run")], ids=["latest", "named"]
)
def test_the_report_of_a_run_that_is_not_there(tmp_path: Path, run_id: str, what: str) -> None:
    with pytest.raises(ProblemError, match=rf"{what} \[PS-711\]\. Next: "):
        opened(tmp_path, GOOD, "report", run_id=run_id)


K3S_ANSIBLE: dict[str, tuple[Inventory, tuple[str, ...], str]] = {
    "server and agents": (
        Inventory(None, None, server=["pi-3"], agent=["pi-1", "pi-2"]),
        ("pi-3", "pi-1", "pi-2"),
        "pi-3",
    ),
    "three servers": (
        Inventory(None, None, server=["pi-1", "pi-2", "pi-3"], agent=["pi-3"]),
        ("pi-1", "pi-2", "pi-3"),
        "pi-1",
    ),
    "no agent": (Inventory(None, None, server=["pi-1"], agent=[]), ("pi-1",), "pi-1"),
    "addresses": (
        Inventory(None, None, server=["192.168.1.101"], agent=["192.168.1.102"]),
        ("192.168.1.101", "192.168.1.102"),
        "192.168.1.101",
    ),
    "a base of one's own": (
        Inventory(None, ["pi-2"], server=["pi-1"], agent=["pi-2"]),
        ("pi-1", "pi-2"),
        "pi-2",
    ),
    "Pis of one's own": (
        Inventory(["pi-1", "pi-2"], None, server=["pi-2"], agent=["pi-1", "pi-3"]),
        ("pi-1", "pi-2"),
        "pi-2",
    ),
}


@pytest.mark.parametrize(("inventory", "pis", "base"), K3S_ANSIBLE.values(), ids=K3S_ANSIBLE)
def test_an_inventory_of_k3s_ansible_does(
    tmp_path: Path, inventory: Inventory, pis: tuple[str, ...], base: str
) -> None:
    run = opened(tmp_path, inventory)
    assert (run.pis, run.base_pi, run.fetch_from) == (pis, base, (inventory.server or [""])[0])


def test_the_server_works_alone_only_where_it_is_one_of_the_pis(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="there is no group `base`"):
        opened(tmp_path, Inventory(["pi-1"], None, server=["big-machine"]))


def test_a_run_of_pis_named_by_address_goes_on(tmp_path: Path) -> None:
    store = sealed(tmp_path, rounds_done=1)
    nodes = tuple(Node(name=pi, host=f"10.0.0.{number}") for number, pi in enumerate(store.plan().pis))
    store.write({"nodes.json": Nodes(nodes=nodes, not_in_inventory=())})
    hosts = [str(node.host) for node in nodes]
    run = opened(tmp_path, Inventory(None, None, server=hosts[:1], agent=hosts[1:]), run_id="x")
    assert run.continues and run.pis == tuple(hosts)


ALL_NEEDED = dict.fromkeys(("pi-1", "pi-2", "pi-3"), "needed")
NEEDS: dict[str, tuple[object, int, dict[str, str]]] = {
    "by default": (None, 3, ALL_NEEDED),
    "all": (3, 3, ALL_NEEDED),
    "two": ("2", 2, {"pi-1": "base", "pi-2": "spare", "pi-3": "spare"}),
}


@pytest.mark.parametrize(("given", "min_pis", "needs"), NEEDS.values(), ids=NEEDS)
def test_who_is_needed(tmp_path: Path, given: object, min_pis: int, needs: dict[str, str]) -> None:
    run = opened(tmp_path, min_pis=given)
    assert (run.min_pis, run.needs) == (min_pis, needs)


@pytest.mark.fault(
    "setting: more Pis wanted than there are",
    "benchmark_min_pis: 4 Pis are wanted, and the inventory has 3 [PS-107]. Next: set it "
    "to 3 at most, or leave it out: then all are needed",
    kept="nothing begun",
)
def test_more_pis_than_there_are_cannot_be_enough(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        opened(tmp_path, min_pis=4)
    assert str(caught.value) == (
        "benchmark_min_pis: 4 Pis are wanted, and the inventory has 3 [PS-107]. Next: set it to 3 at most, "
        "or leave it out: then all are needed"
    )


def test_a_run_that_left_a_pi_out_goes_on_with_the_others_and_needs_them(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "clone/runs/x")
    away = Node(
        name="pi-3",
        host="10.0.0.3",
        problems=(Problem(code=Code.SSH_UNREACHABLE, subject="pi-3", what="away"),),
    )
    nodes = tuple(Node(name=pi, host=f"10.0.0.{number}") for number, pi in ((1, "pi-1"), (2, "pi-2")))
    store.write({"nodes.json": Nodes(nodes=nodes, not_in_inventory=(), left_out=(away,))})
    store.seal(factory.plan(("pi-1", "pi-2")).model_copy(update={"left_out": left_out(store.nodes())}))
    hosts = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    run = opened(tmp_path, Inventory(None, None, server=hosts[:1], agent=hosts[1:]), run_id="x", min_pis=2)
    assert run.continues and run.pis == hosts[:2]
    assert run.needs == dict.fromkeys(hosts[:2], "needed")


SETTINGS = {
    "with a group of the Pis": (
        {},
        {"pi-1": {"benchmark_rounds": 3}, "pi-2": {"benchmark_rounds": 3}},
        {"benchmark_rounds": 3},
    ),
    "before what is set for all": (
        {"benchmark_rounds": 9, "benchmark_image": "x"},
        {"pi-1": {"benchmark_rounds": 3, "benchmark_image": "x"}},
        {"benchmark_rounds": 3, "benchmark_image": "x"},
    ),
    "only for this machine": ({"benchmark_rounds": 9}, {"pi-1": {}}, {"benchmark_rounds": 9}),
    "no setting": ({"ansible_host": 1}, {"pi-1": {"ansible_host": 2}}, {}),
    "without Pis": ({"benchmark_rounds": 9}, {}, {"benchmark_rounds": 9}),
    "mistyped": ({}, {"pi-1": {"benchmark_no_such": 1}}, {"benchmark_no_such": 1}),
    "mistyped at one of several": (
        {},
        {"pi-1": {}, "pi-2": {"benchmark_no_such": 1}, "pi-3": {}},
        {"benchmark_no_such": 1},
    ),
    "as a number and as text": (
        {},
        {"pi-1": {"benchmark_rounds": 3}, "pi-2": {"benchmark_rounds": "3"}},
        {"benchmark_rounds": 3},
    ),
    "a list": (
        {},
        {"pi-1": {"benchmark_report_formats": ["md"]}, "pi-2": {"benchmark_report_formats": ["md"]}},
        {"benchmark_report_formats": ["md"]},
    ),
}


@pytest.mark.parametrize(("run", "pis", "found"), SETTINGS.values(), ids=SETTINGS)
def test_settings_count_wherever_they_stand(
    run: dict[str, object], pis: dict[str, dict[str, object]], found: dict[str, object]
) -> None:
    assert settings_of(run, pis) == found


GIVEN = {"benchmark_image": "a", "benchmark_report_formats": ["md", "csv"]}


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (
            {"benchmark_image": "b"},
            "benchmark_image: it is 'a' for pi-1 and 'b' for pi-2, and a run has one value",
        ),
        (
            {},
            "benchmark_image: it is 'a' for pi-1 and not set for pi-2, and a run has one value [PS-101]. "
            "Next: ",
        ),
        (
            {"benchmark_image": "a", "benchmark_report_formats": ["csv", "md"]},
            "benchmark_report_formats: it is ['md', 'csv'] for pi-1 and ['csv', 'md'] for pi-2, and a run",
        ),
    ],
    ids=["another value", "no value", "a list in another order"],
)
def test_settings_on_which_the_pis_differ_are_one_line(other: dict[str, object], line: str) -> None:
    with pytest.raises(ProblemError) as caught:
        first = {name: value for name, value in GIVEN.items() if name in {"benchmark_image", *other}}
        settings_of({}, {"pi-1": first, "pi-2": other})
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize("given", ["", "/elsewhere/worker.py"], ids=["none given", "one given"])
def test_the_program_is_the_workloads_own_unless_another_is_given(tmp_path: Path, given: str) -> None:
    run = open_door("benchmark", {}, GOOD, here(tmp_path), worker=given, sha256_of=lambda _: SHA)
    assert run.worker == (given or str(tmp_path / "clone/files/pi_worker.py"))
