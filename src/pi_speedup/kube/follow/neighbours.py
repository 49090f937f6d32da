"""What else uses the Pis while a run measures: benchmarks of other namespaces, and pods of others.

Nobody is hindered, and nothing of theirs is touched: it is told, and kept with each trial. A label proves no
ownership, but it is reason enough to tell.
"""

from __future__ import annotations

import contextlib
import queue
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pi_speedup.clock import boot_seconds
from pi_speedup.kube.access.client import HURRIED, Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.access.shape import cores
from pi_speedup.kube.follow.watcher import Item, Watcher
from pi_speedup.kube.owned.lease import CLEANUP, LEASE_NAME, claim_of, counts
from pi_speedup.kube.owned.owned import RUN_ID_LABEL, Place, Tell, is_managed
from pi_speedup.model.plan import Plan
from pi_speedup.model.trial import MOST_NEIGHBOURS, OtherPods, OtherRun, Trial
from pi_speedup.text import listed, one_line

LEASES = "/apis/coordination.k8s.io/v1/leases"
PODS = "/api/v1/pods"
# Until the claims that there are have been heard of.
_OPENING_SECONDS = 2.0
# Fewer cores of a Pi are not worth a line: DNS and metrics, which K3s has anyway, request a tenth each.
_TELL_CORES = 0.5


@dataclass
class _Run:
    """Another's claim, and the time in boot_seconds in which it counts."""

    what: str
    pis: tuple[str, ...]
    began: float
    until: float


class Neighbours:
    """Watches the claims of all namespaces while a run lasts, and lists the Pis' pods once a round."""

    def __init__(self, client: KubeClient, place: Place, plan: Plan, tell: Tell) -> None:
        self._client, self._place, self._plan, self._tell = client, place, plan, tell
        self._into: queue.Queue[Item] = queue.Queue()
        query = {"fieldSelector": f"metadata.name={LEASE_NAME},metadata.namespace!={place.namespace}"}
        self._watcher = Watcher(client, "claims", LEASES, query, self._into, optional=True)
        self._runs: dict[str, _Run] = {}
        # Whether the claims cannot be heard now, and whether they could not at some time of this trial.
        self._deaf = self._missed = True
        self._round: int | None = None
        self._pods: tuple[OtherPods, ...] | None = None
        self._told: set[str] = set()

    def __enter__(self) -> Self:
        # Listed first: a list is whole, while a watch tells one by one of what is there.
        self._watcher.renew()
        self._watcher.start()
        self._take_all(_OPENING_SECONDS)
        self._missed = self._deaf
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watcher.stop()

    def look(self, number: int) -> None:
        """Look at who is there before a trial of a round; pods are listed before the round's first trial."""
        self._take_all()
        if number != self._round:
            self._round, self._pods = number, self._listed()
        busy = [each for each in self._pods or () if each.runs or each.cores >= _TELL_CORES]
        if new := [each for each in busy if each.pi not in self._told]:
            self._told |= {each.pi for each in new}
            shown = (f"{each.pi} ({each.cores:.2g} cores: {each.what})" for each in new)
            self._tell(f"pods of others run on {listed(shown, most=3)}")

    def seen(self, trial: Trial) -> Trial:
        """Return a trial that has just ended, with what there was beside it."""
        self._take_all()
        now, began = boot_seconds(), trial.started.boot_seconds
        runs = tuple(
            OtherRun(what=run.what, pis=run.pis, seconds=min(run.until, now) - max(run.began, began))
            for run in self._runs.values()
            if max(run.began, began) < min(run.until, now)
        )
        deaf = (("claims",) if self._missed else ()) + (("pods",) if self._pods is None else ())
        self._missed = self._deaf
        return trial.model_copy(
            update={
                "other_runs": runs[:MOST_NEIGHBOURS],
                "other_pods": (self._pods or ())[:MOST_NEIGHBOURS],
                "unheard": (*trial.unheard, *deaf),
            }
        )

    def _take_all(self, seconds: float = 0.0) -> None:
        with contextlib.suppress(queue.Empty):
            self._take(self._into.get(timeout=seconds) if seconds else self._into.get_nowait())
            while True:
                self._take(self._into.get_nowait())

    def _take(self, item: Item) -> None:
        self._deaf = item.kind == "TROUBLE"
        self._missed = self._missed or self._deaf
        if item.kind == "LISTED":
            there = {lease["metadata"]["uid"] for lease in item.content}
            for uid in self._runs.keys() - there:
                self._ended(uid, item.at)
            for lease in item.content:
                self._claimed(lease, item.at)
        elif item.kind == "DELETED":
            self._ended(item.content["metadata"]["uid"], item.at)
        elif item.kind in ("ADDED", "MODIFIED"):
            self._claimed(item.content, item.at)

    def _claimed(self, lease: Json, at: float) -> None:
        claim, now = claim_of(lease), self._client.now()
        namespace = str(lease["metadata"].get("namespace", ""))
        if claim.run_id == CLEANUP or namespace == self._place.namespace or not counts(claim, now):
            return
        until = at + (claim.counts_until - now).total_seconds()
        if known := self._runs.get(claim.uid):
            known.until = until
            return
        pis = tuple(pi for pi in self._plan.pis if claim.pis is None or pi in claim.pis)
        what = one_line(f"{claim.whose} by {claim.holder} in namespace {namespace}", 300)
        self._runs[claim.uid] = _Run(what, pis, at - (now - claim.since).total_seconds(), until)
        where = f"on {listed(pis, most=3)}" if pis else "on other Pis"
        self._tell(f"another benchmark measures {where}: {what}; the report says for how long")

    def _ended(self, uid: str, at: float) -> None:
        if run := self._runs.get(uid):
            run.until = min(run.until, at)

    def _listed(self) -> tuple[OtherPods, ...] | None:
        """Return what of others runs on the Pis, None where that cannot be told."""
        try:
            pods, _ = self._client.with_patience(HURRIED).list_all(
                PODS, {"fieldSelector": "status.phase=Running"}
            )
        except KubeError:
            return None
        found: dict[str, list[Json]] = defaultdict(list)
        for pod in pods:
            if (pi := pod.get("spec", {}).get("nodeName")) in self._plan.pis and not self._is_ours(pod):
                found[pi].append(pod)
        return tuple(_together(pi, found[pi]) for pi in self._plan.pis if pi in found)

    def _is_ours(self, pod: Json) -> bool:
        metadata = pod["metadata"]
        run_id = (metadata.get("labels") or {}).get(RUN_ID_LABEL)
        return metadata.get("namespace") == self._place.namespace and run_id == self._plan.run_id


def _together(pi: str, pods: Iterable[Json]) -> OtherPods:
    largest = sorted(pods, key=lambda pod: (not is_managed(pod), -_requested(pod)))
    names = [f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}" for pod in largest]
    return OtherPods(
        pi=pi,
        what=one_line(listed(names, most=3), 1000),
        cores=sum(map(_requested, largest)),
        runs=sum(map(is_managed, largest)),
    )


def _requested(pod: Json) -> float:
    """Return the cores that a pod requests; what it uses, nobody but its Pi knows."""
    containers = pod.get("spec", {}).get("containers") or ()
    requests = ((each.get("resources") or {}).get("requests") or {} for each in containers)
    return sum(cores(each.get("cpu", "")) or 0.0 for each in requests)
