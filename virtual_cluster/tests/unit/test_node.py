"""Nodes under each fault, and the smaller pure parts: volumes' files, log options, control requests."""

import io
from pathlib import Path
from typing import Any

import pytest

from virtual_cluster.virtual_pi.config import Pi, load_config
from virtual_cluster.virtual_pi.control import parse_request
from virtual_cluster.virtual_pi.cpu_budget import TokenBucket
from virtual_cluster.virtual_pi.log_server import LogRequest, parse_query, tail_offset
from virtual_cluster.virtual_pi.node import node_object, node_status
from virtual_cluster.virtual_pi.volumes import MountError, object_files, select

PI = Pi("pi-1", "127.0.10.1", 0.5, 4 << 30, "arm64", True)


@pytest.mark.parametrize(
    ("fault", "ready", "pressure"),
    [
        (None, ("True", "KubeletReady"), ("False", "KubeletHasSufficientMemory")),
        ("not-ready", ("False", "KubeletNotReady"), ("False", "KubeletHasSufficientMemory")),
        ("pressure", ("True", "KubeletReady"), ("True", "KubeletHasInsufficientMemory")),
    ],
    ids=["healthy", "not ready", "memory pressure"],
)
def test_conditions(fault: str | None, ready: tuple[str, str], pressure: tuple[str, str]) -> None:
    found = {
        c["type"]: (c["status"], c["reason"])
        for c in node_status(PI, 1, "v1.34.4", fault, {}, 0.0)["conditions"]
    }
    assert found["Ready"] == ready
    assert found["MemoryPressure"] == pressure


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = {c["type"]: c for c in node_status(PI, 1, "v1.34.4", None, {}, 0.0)["conditions"]}
    later = {c["type"]: c for c in node_status(PI, 1, "v1.34.4", "not-ready", first, 60.0)["conditions"]}
    assert later["DiskPressure"]["lastTransitionTime"] == "1970-01-01T00:00:00Z"
    assert later["Ready"]["lastTransitionTime"] == "1970-01-01T00:01:00Z"


def test_a_node_looks_like_k3s_on_a_pi() -> None:
    node = node_object(PI, "boxed")
    status = node_status(PI, 4711, "v1.34.4", None, {}, 0.0)
    assert node["metadata"]["labels"]["kubernetes.io/arch"] == "arm64"
    assert node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] == "true"
    assert status["allocatable"]["cpu"] == "500m"
    assert status["nodeInfo"]["kubeletVersion"] == "v1.34.4+k3s1"
    assert all(status["nodeInfo"].values()), "the typed Python client insists on all of nodeInfo"
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 4711}}


@pytest.mark.parametrize(
    ("items", "files"),
    [
        (None, {"a.py": (b"A", None), "b": (b"B", None)}),
        ([{"key": "a.py", "path": "x/y.py", "mode": 0o400}], {"x/y.py": (b"A", 0o400)}),
    ],
    ids=["all keys", "one key renamed"],
)
def test_items_choose_the_files(items: Any, files: dict[str, Any]) -> None:
    found = object_files("configMap", {"data": {"a.py": "A"}, "binaryData": {"b": "Qg=="}})
    assert select(found, items, "configMap") == files


def test_a_missing_key_is_the_kubelets_error() -> None:
    with pytest.raises(MountError, match="configmap references non-existent config key: nope"):
        select({}, [{"key": "nope", "path": "p"}], "configMap")


@pytest.mark.parametrize(
    ("lines", "text"),
    [(0, ""), (1, "c\n"), (2, "b\nc\n"), (9, "a\nb\nc\n")],
    ids=["none", "one", "two", "more than there are"],
)
def test_tail(lines: int, text: str) -> None:
    assert "a\nb\nc\n"[tail_offset(io.BytesIO(b"a\nb\nc\n"), lines) :] == text


def test_tail_across_blocks_with_an_unfinished_line() -> None:
    content = b"x" * 100_000 + b"\n" + b"y" * 100_000
    assert tail_offset(io.BytesIO(content), 1) == 100_001
    assert tail_offset(io.BytesIO(content), 2) == 0


def test_log_options() -> None:
    query = {"follow": "true", "tailLines": "3", "limitBytes": "10", "timestamps": "false"}
    assert parse_query(query) == LogRequest(True, 3, 10)


@pytest.mark.parametrize("option", ["sinceSeconds", "sinceTime", "timestamps"])
def test_log_options_that_need_times_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        parse_query({option: "1"})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"hello\n", "expected one line"),
        (b'{"pi": "pi-1"}\n', "expected one line"),
        (b'{"pi": "pi-9", "pid": 12}\n', "no Pi 'pi-9' here; there are pi-1"),
        (b'{"pi": "pi-1", "pid": 1}\n', "is not a process to put under a budget"),
        (b'{"pi": "pi-1", "pid": true}\n', "is not a process to put under a budget"),
    ],
    ids=["no JSON", "no pid", "an unknown Pi", "init", "no number"],
)
def test_control_requests_that_make_no_sense(line: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_request(line, {"pi-1": TokenBucket(0.5)})


@pytest.mark.parametrize(
    "text", ["", "{}", '{"pis": [{"name": "pi-1"}]}'], ids=["empty", "no Pis", "half a Pi"]
)
def test_an_unusable_configuration_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.json: not a virtual Pi configuration"):
        load_config(path)
