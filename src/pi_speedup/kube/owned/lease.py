"""Who measures: a Lease in our namespace, which counts as long as it is renewed.

Times are by the API server's clock, so it doesn't matter how the control hosts' clocks are set. A claim is
known by its object's uid, which is given once: who was taken over finds another's, or none.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pi_speedup.clock import boot_id, boot_seconds
from pi_speedup.codes import Code
from pi_speedup.kube.access.client import HURRIED, Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.owned.owned import RUN_ID_LABEL, Place, Tell, labels, owner_reference, owner_uid
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.text import one_line

LEASE_NAME = "pi-speedup"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
_LONGEST_SECONDS = 86_400
_PROCESS = "pi-speedup/process"
_PIS = "pi-speedup/pis"
# In the place of a run's id, where capitals are not allowed.
CLEANUP = "CLEANUP"
# As long as a Job is followed through an outage of the API.
OUTAGE_SECONDS = 120.0


class ClaimedError(ProblemError):
    """Somebody measures, so nothing was done."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody's word that they measure; `counts_until` by the API server's clock.

    `process` is the holder's, as `this_process` names it; `pis` those it measures, None where it doesn't say.
    """

    run_id: str
    holder: str
    process: str
    since: datetime
    counts_until: datetime
    uid: str
    version: str
    pis: frozenset[str] | None = None

    @property
    def whose(self) -> str:
        """What holds it, in words."""
        return "cleanup.yml" if self.run_id == CLEANUP else f"run {self.run_id}"

    def __str__(self) -> str:
        return (
            f"{self.whose} by {self.holder} since {_clock(self.since, '%H:%M')}, "
            f"its claim counts until {_clock(self.counts_until)}"
        )


def this_holder() -> str:
    """Return who we are, as others read it: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return one_line(f"{user}@{socket.gethostname()}", 200)


def who_measures(client: KubeClient, place: Place) -> Claim | None:
    """Return the claim that counts now, None if there is none."""
    found = client.find(f"{place.leases}/{LEASE_NAME}")
    claim = claim_of(found) if found else None
    return claim if claim and counts(claim, client.now()) else None


def counts(claim: Claim, now: datetime) -> bool:
    """Say whether a claim counts at `now`, the API server's time of day, which is known to a second.

    One whose process is known to be dead does not: after a SIGKILL the same user goes on at once.
    """
    return now <= claim.counts_until + timedelta(seconds=1) and not _is_dead(claim.process)


def this_process(pid: int | None = None) -> str:
    """Return a name for this process, or that of `pid`, that no other one has; empty where none can be told.

    It is made of the machine's present boot, the namespace of process numbers, the number, and the start.
    """
    pid = os.getpid() if pid is None else pid
    try:
        space = Path("/proc/self/ns/pid").readlink()
        # Behind the program's name, which may hold blanks and brackets: field 22 of proc(5).
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{boot_id()} {space} {pid} {started}"


def _is_dead(process: str) -> bool:
    """Say whether a process of this machine has ended; of another machine's nothing can be said."""
    boot, _, rest = process.partition(" ")
    space, _, rest = rest.partition(" ")
    here = this_process()
    if not here or not rest or here.split(" ")[:2] != [boot, space]:
        return False
    pid = rest.partition(" ")[0]
    return pid.isdecimal() and this_process(int(pid)) != process


def claim_of(lease: Json) -> Claim:
    """Return what a Lease says; one that does not say when it was renewed has long run out."""
    metadata, spec = lease["metadata"], lease.get("spec") or {}
    renewed = _time(spec.get("renewTime"))
    seconds = spec.get("leaseDurationSeconds")
    # Whatever it says: no claim counts for longer than a day without being renewed.
    seconds = min(max(seconds, 0), _LONGEST_SECONDS) if isinstance(seconds, int) else 0
    annotations = metadata.get("annotations") or {}
    return Claim(
        run_id=one_line((metadata.get("labels") or {}).get(RUN_ID_LABEL, "unknown"), 60),
        holder=one_line(spec.get("holderIdentity") or "unknown", 200),
        process=str(annotations.get(_PROCESS, ""))[:300],
        since=_time(spec.get("acquireTime")),
        counts_until=renewed + timedelta(seconds=seconds),
        uid=str(metadata["uid"]),
        version=str(metadata.get("resourceVersion", "")),
        pis=frozenset(annotations[_PIS].split(",")) if _PIS in annotations else None,
    )


def _time(text: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    # Near year 1 or 9999 nothing can be added or taken away.
    if not 1970 <= found.year <= 9000:
        return datetime.fromtimestamp(0, UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _clock(when: datetime, form: str = "%H:%M:%S") -> str:
    return when.astimezone().strftime(form)


class Hold:
    """Our claim, renewed by a thread of its own until it is released."""

    def __init__(self, client: KubeClient, place: Place, lease: Json, tell: Tell) -> None:
        self._client, self._tell = client, tell
        self._path = f"{place.leases}/{LEASE_NAME}"
        self._uid = str(lease["metadata"]["uid"])
        self._renewed = boot_seconds()
        self._lost: Problem | None = None
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> Problem | None:
        """Why the claim is not ours any more, None while it is."""
        return self._lost

    def check(self, since: float = 0.0) -> None:
        """Raise ProblemError if the claim is not ours any more.

        Costs no request where it was renewed since that moment, in boot_seconds, and has not run out. Else it
        is renewed first: its uid was given once, so that goes well only if nobody else had it until then.
        While the API server is away it is waited for, as long as for a Job.
        """
        deadline = boot_seconds() + OUTAGE_SECONDS
        since = max(since, boot_seconds() - LEASE_SECONDS)
        while self._lost is None and self._renewed < since:
            try:
                self._renew()
            except KubeError:
                if boot_seconds() > deadline:
                    raise
                time.sleep(1)
        if self._lost:
            raise ProblemError(self._lost)

    def release(self) -> None:
        """Give the claim up; without the API server it runs out by itself."""
        self._released.set()
        with contextlib.suppress(KubeError):
            self._client.with_patience(HURRIED).delete(self._path, self._uid, "Background")

    def _keep(self) -> None:
        while not self._released.wait(RENEW_SECONDS) and self._lost is None:
            # Tolerated: as long as nobody takes it over, the claim is renewed even after it has run out.
            with contextlib.suppress(KubeError):
                self._renew()

    def _renew(self) -> None:
        with self._lock:
            # As of when it was asked for: what happened to the claim while the answer came is not known.
            asked = boot_seconds()
            body = {"metadata": {"uid": self._uid}, "spec": {"renewTime": _micro(self._client.now())}}
            try:
                self._client.patch(self._path, body)
            except KubeError as error:
                if not error.is_gone or self._released.is_set():
                    raise
                self._lost = self._who_has_it()
            else:
                self._renewed = asked

    def _who_has_it(self) -> Problem:
        other = None
        with contextlib.suppress(KubeError):
            found = self._client.find(self._path)
            other = claim_of(found) if found else None
        return Problem(
            code=Code.CLAIM_LOST,
            subject="this benchmark's claim on the cluster",
            what=f"taken over by {other}" if other else "taken away, as cleanup.yml does if told to",
            next_step="see who else measures there, then run again",
        )


@contextlib.contextmanager
def hold(
    client: KubeClient,
    place: Place,
    holder: str,
    run_id: str,
    tell: Tell = lambda line: None,
    pis: Iterable[str] = (),
) -> Iterator[Hold]:
    """Claim the cluster for a run as long as the block lasts; ProblemError if another benchmark measures.

    `holder` is user@host, shown to others, as are the run's Pis. A claim that has run out is taken over.
    """
    ours = Hold(client, place, acquire(client, place, holder, run_id, pis), tell)
    try:
        yield ours
    finally:
        ours.release()


def acquire(client: KubeClient, place: Place, holder: str, run_id: str, pis: Iterable[str] = ()) -> Json:
    """Create our Lease and return it; ProblemError if another's counts."""
    uid = owner_uid(client, place)
    while True:
        lease = _lease(place, uid, holder, run_id, client.now(), pis)
        try:
            return client.create(place.leases, lease)
        except KubeError as error:
            if error.status != 409:
                raise
        found = client.find(f"{place.leases}/{LEASE_NAME}")
        if found is None:
            continue
        if _is_same(found, lease):
            # Our own request, which was sent twice.
            return found
        claim = claim_of(found)
        if counts(claim, client.now()):
            raise refusal(claim)
        # Deleted only if nobody has renewed or taken it meanwhile; then whoever creates first has it.
        client.delete(f"{place.leases}/{LEASE_NAME}", claim.uid, "Background", claim.version)


def refusal(claim: Claim) -> ProblemError:
    """Return what is said to the second of two."""
    until = _clock(claim.counts_until)
    return ClaimedError(
        Problem(
            code=Code.CLAIMED_BY_ANOTHER_RUN,
            subject="another benchmark is measuring",
            what=str(claim),
            next_step=f"wait for it; if it is dead, its claim runs out by itself at {until}",
        )
    )


def _lease(place: Place, uid: str, holder: str, run_id: str, now: datetime, pis: Iterable[str]) -> Json:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": LEASE_NAME,
            "namespace": place.namespace,
            "labels": {**labels(), RUN_ID_LABEL: run_id},
            # Of two requests it tells which was ours.
            "annotations": {
                "pi-speedup/claim": f"{time.time_ns()}-{threading.get_native_id()}",
                _PROCESS: this_process(),
                _PIS: ",".join(pis),
            },
            "ownerReferences": [owner_reference(place, uid)],
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": _micro(now),
            "renewTime": _micro(now),
        },
    }


def _is_same(found: Json, lease: Json) -> bool:
    return bool(found["metadata"].get("annotations") == lease["metadata"]["annotations"])


def _micro(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
