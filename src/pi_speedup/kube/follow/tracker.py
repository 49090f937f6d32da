"""What is known of a trial's Job, kept up to date from what the API says; no network, no clock of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pi_speedup.codes import Code
from pi_speedup.kube.access.client import Json
from pi_speedup.kube.access.shape import is_controlled_by
from pi_speedup.kube.follow.states import (
    PASSES_BY_ITSELF,
    PI_LOST,
    JobVerdict,
    Obstacle,
    PodState,
    completion_index,
    event_obstacle,
    is_over,
    is_running,
    job_verdict,
    pod_obstacle,
    pod_state,
)
from pi_speedup.model.trial import Milestones
from pi_speedup.problem import Problem
from pi_speedup.text import listed, one_line

# In a healthy cluster each of these takes below a second; of large Jobs the controllers do 20 pods a second.
LATE_SECONDS = 5.0
LATE_SECONDS_PER_POD = 0.1
CONTROLLERS = "Kubernetes' controller manager"
SCHEDULER = "Kubernetes' scheduler"
# A pod that stays where it is for longer is told of.
STANDING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class JobEnding:
    """How the Job ended, well if there is no problem; `reason` is Kubernetes' or our own word for it."""

    reason: str
    problem: Problem | None = None
    passes_by_itself: bool = False
    # The pod whose log says more.
    pod_name: str | None = None
    # How many others of its kind there are, in words for the end of a line.
    others: str = ""
    # Whether one of Kubernetes' events explains it.
    has_event: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """A part of the control plane that lets the trial wait, since when, and for what."""

    who: str
    what: str
    since: float


class Tracker:
    """One Job's state by uid; objects of others that share its labels are ignored.

    Times are seconds of any monotonic clock, given by the caller; `started` is that of the trial's start.
    """

    def __init__(self, job: Json, expected: int, started: float = 0.0) -> None:
        self.job = job
        self.uid: str = job["metadata"]["uid"]
        self.expected = expected
        self.started = started
        # When the Job's end was seen.
        self.ended: float | None = None
        self.deleted = False
        # By Pi: when it stopped answering, as a time of day.
        self.silent: dict[str, str] = {}
        self._pods: dict[str, Json] = {}
        self._states: dict[str, PodState] = {}
        self._warnings: dict[str, Json] = {}
        # By pod: milestone -> when it was first seen there.
        self._seen: dict[str, dict[str, float]] = {}
        # By pod: since when it stands where it does.
        self._stands_since: dict[str, float] = {}
        # By pod, judged when it changes: judging a hundred anew at each event would cost a core.
        self._pod_obstacles: dict[str, Obstacle | None] = {}
        self._obstacle_since: dict[tuple[str, str], float] = {}
        # Events may come before the pod that they are about.
        self._pulled: dict[str, float] = {}

    @property
    def pods(self) -> list[Json]:
        """The Job's pods, deleted ones too, by completion index and then name."""
        return sorted(
            self._pods.values(), key=lambda pod: (completion_index(pod) or 0, pod["metadata"]["name"])
        )

    @property
    def states(self) -> list[PodState]:
        """Where the pods stand, in the same order."""
        return [self._states[pod["metadata"]["uid"]] for pod in self.pods]

    @property
    def warnings(self) -> list[Json]:
        """The warning events that concern the Job or one of its pods."""
        concerned = {self.uid, *self._pods}
        return [
            event
            for event in self._warnings.values()
            if event.get("involvedObject", {}).get("uid") in concerned
        ]

    @property
    def succeeded(self) -> int:
        """How many pods have succeeded."""
        return sum(state.phase == "succeeded" for state in self._states.values())

    @property
    def waited_for(self) -> set[str]:
        """The Pis whose pods have not ended."""
        return {
            str(self._states[uid].node)
            for uid, pod in self._pods.items()
            if self._states[uid].node and not is_over(pod)
        }

    def milestones(self, uid: str) -> Milestones:
        """Return when the pod with this uid was seen where, in seconds after the trial's start."""
        seen = self._seen.get(uid, {}) | ({"pulled": self._pulled[uid]} if uid in self._pulled else {})
        return Milestones(**{name: max(0.0, at - self.started) for name, at in seen.items()})

    def see_job(self, job: Json, at: float, deleted: bool = False) -> None:
        """Take in a state of the Job; one of the same name with another uid means ours is gone."""
        if job["metadata"]["uid"] == self.uid:
            # What has ended stays so, whatever an answer that was long under way says.
            if deleted or job_verdict(job) or not job_verdict(self.job):
                self.job, self.deleted = job, deleted
            if self.ended is None and (deleted or job_verdict(job)):
                self.ended = at
        elif not deleted:
            self.deleted = True

    def see_jobs(self, jobs: Iterable[Json], at: float) -> None:
        """Take in a list in which the Job must be, if it is there at all."""
        found = list(jobs)
        for job in found:
            self.see_job(job, at)
        self.deleted = self.deleted or not found

    def see_pod(self, pod: Json, at: float, deleted: bool = False) -> None:
        """Take in a state of a pod."""
        if not is_controlled_by(pod, self.uid):
            return
        uid = pod["metadata"]["uid"]
        if deleted:
            # What became of it stays known: its last state, and that it is gone.
            pod["metadata"].setdefault("deletionTimestamp", "gone")
        self._pods[uid] = pod
        before, self._states[uid] = self._states.get(uid), pod_state(pod)
        if before != self._states[uid]:
            self._stands_since[uid] = at
        self._pod_obstacles[uid] = pod_obstacle(pod)
        there = {
            "created": True,
            "scheduled": bool(self._states[uid].node),
            "started": is_running(pod),
            "finished": is_over(pod),
        }
        seen = self._seen.setdefault(uid, {})
        for name, is_there in there.items():
            if is_there:
                seen.setdefault(name, at)

    def see_pods(self, pods: Iterable[Json], at: float) -> None:
        """Take in a list of the Job's pods: one that it no longer has was deleted."""
        found = {pod["metadata"]["uid"]: pod for pod in pods}
        for uid, pod in list(self._pods.items()):
            if uid not in found:
                self.see_pod(pod, at, deleted=True)
        for pod in found.values():
            self.see_pod(pod, at)

    def see_event(self, event: Json, at: float) -> None:
        """Take in an event of the namespace."""
        if event.get("type") == "Warning":
            self._warnings[event["metadata"]["uid"]] = event
        # A kubelet says "Pulled" also of an image that was there already.
        elif event.get("reason") == "Pulled" and "already present" not in str(event.get("message")):
            self._pulled.setdefault(str(event.get("involvedObject", {}).get("uid")), at)

    def obstacles(self) -> list[Obstacle]:
        """Return all that keeps the Job from completing right now."""
        from_events = [
            event_obstacle(event, self.uid, self._pods.values(), self.expected)
            for event in self._warnings.values()
        ]
        return [obstacle for obstacle in (*self._pod_obstacles.values(), *from_events) if obstacle]

    def standing(self, now: float) -> list[PodState]:
        """Return the pods that nothing moves on: for STANDING_SECONDS starting, ending, or alone at work.

        A pod that computes is not one of them while others do so too.
        """
        at_work = {uid for uid, pod in self._pods.items() if not is_over(pod)}
        alone = max((seen.get("finished", 0.0) for seen in self._seen.values()), default=0.0)
        found = []
        for uid in at_work:
            computes = self._states[uid].phase == "running"
            if computes and len(at_work) > 1:
                continue
            since = max(self._stands_since[uid], alone if computes else 0.0)
            if now - since > STANDING_SECONDS and not (computes and self.expected == 1):
                found.append(self._states[uid])
        return sorted(found, key=str)

    def late(self, now: float, after: float = 0.0) -> Late | None:
        """Return which part of the control plane lets the Job wait longer than it ever should.

        Only what was waited for since `after` counts: before, something else was the cause.
        """
        wait = self._waits_for()
        if wait is None:
            return None
        since = max(wait.since, after)
        patience = LATE_SECONDS + LATE_SECONDS_PER_POD * self.expected
        return replace(wait, since=since) if now - since > patience else None

    def _waits_for(self) -> Late | None:
        if job_verdict(self.job) or self.obstacles():
            return None
        if not self._pods:
            return Late(CONTROLLERS, "has made no pod of the Job", self.started)
        if self.succeeded >= self.expected:
            finished = max(seen.get("finished", self.started) for seen in self._seen.values())
            return Late(
                CONTROLLERS, "does not count the Job as complete, though all pods have ended", finished
            )
        for uid, state in self._states.items():
            conditions = self._pods[uid].get("status", {}).get("conditions") or ()
            if not state.node and not any(each["type"] == "PodScheduled" for each in conditions):
                created = self._seen[uid]["created"]
                return Late(SCHEDULER, f"has not looked at {state}", created)
        return None

    def ending(self, now: float) -> JobEnding | None:
        """Return how the Job ended, None while it may still end well."""
        verdict = job_verdict(self.job)
        if verdict is not None:
            return self._by_job(verdict)
        if self.deleted:
            # Without its owner a Job goes too.
            problem = Problem(
                code=Code.JOB_DELETED,
                subject=f"Job {self.job['metadata']['name']}",
                what="deleted by someone else while it ran",
                next_step="see who removed it, or the ConfigMap that owns it, then run again",
            )
            return JobEnding("Deleted", problem)
        if self.job.get("spec", {}).get("suspend"):
            # Kubernetes takes the pods of a suspended Job away; only that it was suspended says why.
            metadata = self.job["metadata"]
            name, namespace = metadata["name"], metadata.get("namespace", "NAMESPACE")
            problem = Problem(
                code=Code.JOB_SUSPENDED,
                subject=f"Job {name}",
                what="suspended by someone else while it ran",
                next_step=f"see who did (kubectl -n {namespace} get job {name} -o yaml "
                "--show-managed-fields), then run again",
            )
            return JobEnding("Suspended", problem)
        obstacles = self.obstacles()
        keys = {(obstacle.subject, obstacle.kind) for obstacle in obstacles}
        self._obstacle_since = {key: self._obstacle_since.get(key, now) for key in keys}
        hopeless = [item for item in obstacles if self._left(item, now) <= 0]
        return self._by_obstacles(hopeless) if hopeless else None

    def out_of_time(self, seconds: float) -> JobEnding:
        """Return the ending of a Job that reached its deadline of `seconds`."""
        late = [state for state in self.states if state.phase != "succeeded"]
        unfinished = [f"{state} {state.phase}{self._silence(state.node)}" for state in late]
        missing = self.expected - len(self._states)
        if missing > 0:
            unfinished.append(f"{missing} pods not created")
        problem = Problem(
            code=Code.TIMEOUT,
            subject=f"Job {self.job['metadata']['name']}",
            what=f"not finished after {seconds:g} s: {listed(unfinished) or 'the Job itself'}",
            next_step="raise benchmark_timeout_seconds, give each process less to do, or look at that Pi",
        )
        running = [state.name for state in late if state.phase == "running"]
        return JobEnding("Timeout", problem, pod_name=running[0] if running else None)

    def _silence(self, pi: str | None) -> str:
        return f" ({pi} stopped answering at {self.silent[pi]})" if pi in self.silent else ""

    def _left(self, obstacle: Obstacle, now: float) -> float:
        since = self._obstacle_since.get((obstacle.subject, obstacle.kind), now)
        return since + obstacle.patience_seconds - now

    def _by_job(self, verdict: JobVerdict) -> JobEnding:
        if verdict.outcome == "complete":
            return JobEnding(verdict.reason)
        # A pod says more than "Job has failed indexes": one that failed, else one that was deleted, as on a
        # lost Pi. With other verdicts it is the Job that deletes its pods.
        obstacles = self.obstacles()
        failed = [item for item in obstacles if item.kind == "failed"]
        if not failed and verdict.reason == "FailedIndexes":
            failed = [item for item in obstacles if item.kind == "deleted"]
        if failed and verdict.reason != "DeadlineExceeded":
            return self._by_obstacles(failed)
        problem = Problem(
            code=Code.TIMEOUT if verdict.reason == "DeadlineExceeded" else Code.JOB_FAILED,
            subject=f"Job {self.job['metadata']['name']}",
            what=f"{verdict.reason}: {verdict.message}",
            next_step="read the trial's events, then run again",
        )
        return JobEnding(verdict.reason, problem)

    def _by_obstacles(self, obstacles: list[Obstacle]) -> JobEnding:
        # Of several the one that says most: a lost Pi explains what became of others.
        first = next((item for item in obstacles if item.reason in PI_LOST), obstacles[0])
        others = len({item.subject for item in obstacles}) - 1
        more = f" (and {others} more)" if others else ""
        problem = self._lost_pi(first) if first.reason in PI_LOST and first.pi else first.problem
        return JobEnding(
            first.reason,
            problem.model_copy(update={"what": one_line(f"{problem.what}{more}", 600)}),
            passes_by_itself=first.reason in PASSES_BY_ITSELF,
            pod_name=first.pod_name,
            others=more,
            has_event=first.kind not in ("failed", "deleted"),
        )

    def _lost_pi(self, obstacle: Obstacle) -> Problem:
        when = self.silent.get(obstacle.pi or "")
        since = f" at {when}" if when else ""
        return Problem(
            code=Code.PI_LOST_DURING_TRIAL,
            subject=str(obstacle.pi),
            what=f"stopped answering{since}, so Kubernetes gave up {obstacle.subject.partition(' on ')[0]}",
            next_step=obstacle.problem.next_step,
        )
