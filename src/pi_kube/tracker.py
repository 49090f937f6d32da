"""What is known of a running Job, kept up to date from watch events; no network, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass

from pi_kube.client import Json
from pi_speedup.job_progress import (
    JobVerdict,
    Obstacle,
    PodState,
    completion_index,
    event_obstacle,
    is_controlled_by,
    job_verdict,
    pod_obstacle,
    pod_state,
)
from pi_speedup.plain import one_line


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run ended: `reason` in one word, `message` names pod and Pi, `next_step` is the user's."""

    outcome: str
    reason: str
    message: str
    next_step: str = ""
    # The pod whose log says more.
    pod_name: str | None = None


class Tracker:
    """One Job's state by uid; objects of others that share its labels are ignored.

    Times are seconds of any monotonic clock, given by the caller.
    """

    def __init__(self, job: Json, expected: int) -> None:
        self.job = job
        self.uid: str = job["metadata"]["uid"]
        self.expected = expected
        self.deleted = False
        self._pods: dict[str, Json] = {}
        self._warnings: dict[str, Json] = {}
        self._shown: dict[str, PodState] = {}
        # By pod, judged when it changes: judging a hundred anew at each event would cost a core.
        self._pod_obstacles: dict[str, Obstacle | None] = {}
        self._obstacle_since: dict[tuple[str, str], float] = {}

    @property
    def pods(self) -> list[Json]:
        """Return the Job's pods, deleted ones too, by completion index and then name."""
        return sorted(
            self._pods.values(), key=lambda pod: (completion_index(pod) or 0, pod["metadata"]["name"])
        )

    @property
    def warnings(self) -> list[Json]:
        """Return the warning events that concern the Job or one of its pods."""
        concerned = {self.uid, *self._pods}
        return [event for event in self._warnings.values() if event["involvedObject"].get("uid") in concerned]

    def see_job(self, job: Json, deleted: bool = False) -> None:
        """Take in a state of the Job; one of the same name with another uid means ours is gone."""
        if job["metadata"]["uid"] == self.uid:
            self.job, self.deleted = job, deleted
        elif not deleted:
            self.deleted = True

    def see_pod(self, pod: Json, deleted: bool = False) -> str | None:
        """Take in a state of a pod; return a line of progress if it says something new."""
        if not is_controlled_by(pod, self.uid):
            return None
        uid = pod["metadata"]["uid"]
        if deleted:
            # What became of it stays known: its last state, and that it is gone.
            pod["metadata"].setdefault("deletionTimestamp", "gone")
        self._pods[uid] = pod
        self._pod_obstacles[uid] = pod_obstacle(pod)
        state = pod_state(pod)
        if self._shown.get(uid) == state:
            return None
        self._shown[uid] = state
        line = f"{state}: {state.phase}"
        if state.phase == "succeeded":
            line += f" ({self.succeeded} of {self.expected})"
        return line

    @property
    def succeeded(self) -> int:
        """Return how many pods have succeeded."""
        return sum(state.phase == "succeeded" for state in self._shown.values())

    def see_event(self, event: Json) -> None:
        """Take in a warning event of the namespace."""
        self._warnings[event["metadata"]["uid"]] = event

    def obstacles(self) -> list[Obstacle]:
        """Return all that keeps the Job from completing right now."""
        from_events = [
            event_obstacle(event, self.uid, self._pods.values(), self.expected)
            for event in self._warnings.values()
        ]
        return [obstacle for obstacle in (*self._pod_obstacles.values(), *from_events) if obstacle]

    def ending(self, now: float) -> Ending | None:
        """Return how the run ended, None while it may still end well."""
        verdict = job_verdict(self.job)
        if verdict is not None:
            return self._by_job(verdict)
        if self.deleted:
            return Ending(
                "failed", "Deleted", "the Job was deleted by someone else while it ran", "run it again"
            )
        obstacles = self.obstacles()
        keys = {(obstacle.subject, obstacle.kind) for obstacle in obstacles}
        self._obstacle_since = {key: self._obstacle_since.get(key, now) for key in keys}
        hopeless = [item for item in obstacles if self._left(item, now) <= 0]
        return _by_obstacles(hopeless) if hopeless else None

    def next_check(self, now: float, longest: float) -> float:
        """Return seconds until an obstacle's patience is over, at most `longest`."""
        return max(0.0, min([longest, *(self._left(item, now) for item in self.obstacles())]))

    def out_of_time(self, seconds: float) -> Ending:
        """Return the ending for a run that reached its deadline of `seconds`."""
        states = [pod_state(pod) for pod in self.pods]
        unfinished = [f"{state} {state.phase}" for state in states if state.phase != "succeeded"]
        missing = self.expected - len(states)
        if missing > 0:
            unfinished.append(f"{missing} pods not created")
        return Ending(
            "failed",
            "Timeout",
            f"not finished after {seconds:g} s: {_few(unfinished) or 'the Job itself'}",
            "allow more time, take fewer samples, or look at that Pi",
            next((pod["metadata"]["name"] for pod in self.pods if pod_state(pod).phase == "running"), None),
        )

    def _left(self, obstacle: Obstacle, now: float) -> float:
        since = self._obstacle_since.get((obstacle.subject, obstacle.kind), now)
        return since + obstacle.patience_seconds - now

    def _by_job(self, verdict: JobVerdict) -> Ending:
        if verdict.outcome == "complete":
            return Ending("complete", verdict.reason, verdict.message)
        # A pod says more than "Job has failed indexes": one that failed, else one that was deleted, as on a
        # lost Pi. With other verdicts it is the Job that deletes its pods.
        obstacles = self.obstacles()
        failed = [item for item in obstacles if item.kind == "failed"]
        if not failed and verdict.reason == "FailedIndexes":
            failed = [item for item in obstacles if item.kind == "deleted"]
        if failed and verdict.reason != "DeadlineExceeded":
            return _by_obstacles(failed)
        return Ending(
            "failed",
            verdict.reason,
            f"the Job failed: {verdict.reason}, {verdict.message}",
            "read the Job's events in events.json",
        )


def _by_obstacles(obstacles: list[Obstacle]) -> Ending:
    first = obstacles[0]
    others = len({item.subject for item in obstacles}) - 1
    more = f" (and {others} more)" if others else ""
    words = first.message if first.message.startswith("exit code") else f"{first.reason}: {first.message}"
    return Ending(
        "failed", first.reason, one_line(f"{first.subject}{more}: {words}"), first.next_step, first.pod_name
    )


def _few(words: list[str], most: int = 5) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
