"""The driver of cells of kind `job`: one trial is one Job, from an empty place to what its pods left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pi_speedup.clock import boot_seconds
from pi_speedup.codes import Code
from pi_speedup.kube.access.client import HURRIED, Json, KubeClient
from pi_speedup.kube.access.errors import KubeError
from pi_speedup.kube.follow.by_hand import job_by_hand
from pi_speedup.kube.follow.follow import OUTAGE_SECONDS, SLOW_SECONDS, Follower, listed_pods
from pi_speedup.kube.follow.manifest import job_manifest, job_name
from pi_speedup.kube.follow.outages import Outages
from pi_speedup.kube.follow.results import events, fetch_logs, last_line, workers
from pi_speedup.kube.follow.states import (
    PodState,
    job_verdict,
    no_such_program,
    placement_problems,
    termination_message,
)
from pi_speedup.kube.follow.tracker import JobEnding, Tracker
from pi_speedup.kube.nodes.nodes import read_nodes
from pi_speedup.kube.owned.owned import (
    Place,
    Tell,
    find_owner,
    is_owned,
    our_jobs,
    remove,
    remove_jobs_beside,
)
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.trial import ByHand, MadeJob, Measured, Moment, Trial
from pi_speedup.problem import Problem, ProblemError
from pi_speedup.text import listed, one_line
from pi_speedup.workload import workload_of

# Pods that have ended go within a second. Those of a trial that failed are ended first, within 2 s each; on a
# Pi that is lost they never go, and disturb nobody.
CLEAR_SECONDS = 15.0
_OPENING_SECONDS = 2.0
# A state that ends a trial at once is often seen before the event that explains it.
EVENT_SECONDS = 2.0
# For who has to be gone within 8 s in all.
END_SECONDS = 5.0
_RETRY_SECONDS = 1.0
# For one whom the API server has to ask: its pod may start just now. A trial is tried twice.
_WEBHOOK_SECONDS = 20.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Left:
    """The Job of the trial before: it stays to be looked at until there is another."""

    path: str
    uid: str
    pod_uids: frozenset[str]


class JobDriver:
    """Runs the Jobs of one plan, one at a time.

    `template` is job.yml.j2, `program` the worker's text, `owner_uid` the uid of our ConfigMap. `tell` gets
    single lines while something goes on that is worth knowing. `last_sha256` gives the hash of the trial that
    was measured last. Whoever measures holds the Lease.
    """

    def __init__(
        self,
        client: KubeClient,
        place: Place,
        plan: Plan,
        template: str,
        program: str,
        owner_uid: str,
        tell: Tell,
        last_sha256: Callable[[], str] | None = None,
    ) -> None:
        self._client, self._place, self._plan, self._tell = client, place, plan, tell
        self._template, self._program, self._owner_uid = template, program, owner_uid
        self._seal = plan.sha256
        self._last_sha256 = last_sha256 or (lambda: self._seal)
        self._left: _Left | None = None

    def prepare(self) -> None:
        """Remove the Jobs, with their pods, that an earlier run of ours left; wait until they are gone.

        Pods on Pis that are left out are not waited for. Only for who holds the Lease: then no Job of ours is
        another run's. ProblemError if the owner is not the one that this driver was given, or a Job doesn't
        go.
        """
        owner = find_owner(self._client, self._place)
        if owner is None or owner["metadata"]["uid"] != self._owner_uid:
            raise KubeError(
                Code.OBJECT_GONE_OR_CHANGED,
                f"ConfigMap {self._place.owner}",
                f"gone from namespace {self._place.namespace}, or made anew by someone else",
                "see who else runs a benchmark or cleanup there, then run again",
            )
        jobs, version = our_jobs(self._client, self._place, self._owner_uid)
        if jobs:
            self._tell(f"removing {len(jobs)} {'Job' if len(jobs) == 1 else 'Jobs'} that an earlier run left")
            away = {each.pi for each in self._plan.left_out}
            if away:
                remove_jobs_beside(self._client, self._place, jobs, away, self._tell)
            else:
                remove(self._client, self._place.jobs, jobs, version, self._tell)

    def run(self, slot: Slot, attempt: int) -> Measured:
        """Run the Job of one trial; a failure is a Trial too.

        Interrupted, and whatever else is raised, goes on after the Job has been deleted, within 8 s.
        """
        trial = _JobTrial(self, slot, attempt)
        try:
            return replace(trial.run(), by_hand=trial.by_hand)
        except BaseException:
            trial.end_now()
            raise


class _JobTrial:
    """One trial, used once."""

    def __init__(self, driver: JobDriver, slot: Slot, attempt: int) -> None:
        self._driver, self._slot, self._attempt = driver, slot, attempt
        self._client, self._place, self._plan = driver._client, driver._place, driver._plan
        self._pis = self._plan.cell(slot.cell).pis
        self._name = job_name(self._plan, slot, attempt)
        self._path = f"{self._place.jobs}/{self._name}"
        self._outages = Outages(driver._tell)
        self._entered = self._started = boot_seconds()
        self._start = Moment.now()
        self._tracker: Tracker | None = None
        self._asked = False
        # None until the API server was asked for the Job.
        self.by_hand: ByHand | None = None

    def run(self) -> Measured:
        manifest = job_manifest(
            self._driver._template,
            self._plan,
            self._slot,
            self._attempt,
            place=self._place,
            owner_uid=self._driver._owner_uid,
            program=self._driver._program,
            follows_sha256=self._driver._last_sha256(),
        )
        watched = Follower(self._client, self._place, self._plan.run_id, self._name, self._pis, self._outages)
        with watched as follower:
            try:
                # Before the clock starts: nothing of the trial is missed, no connection opened in its time.
                follower.await_watches(_OPENING_SECONDS)
                self._clear(follower)
                ending = self._measure(follower, manifest)
            except ProblemError as error:
                if self._tracker is None:
                    # No Job is known of. One may have been made by a request whose answer never came.
                    self.end_now()
                    return self._measured(JobEnding("NotCreated", error.problem, error.passes_by_itself))
                ending = JobEnding("ApiServerLost", error.problem, error.passes_by_itself)
            return self._conclude(follower, ending)

    def end_now(self) -> None:
        """Delete the Job, and wait until its pods have ended, as far as that can be done in 5 s."""
        if not self._asked:
            return
        until = boot_seconds() + END_SECONDS
        client = self._client.with_patience(HURRIED)
        try:
            job = self._tracker.job if self._tracker else client.find(self._path)
            if job is None or not is_owned(job, self._driver._owner_uid):
                return
            # Foreground: the Job is there until its pods are gone, so one object tells.
            client.delete(self._path, job["metadata"]["uid"], "Foreground")
            while client.find(self._path) and boot_seconds() < until:
                time.sleep(0.2)
        except KubeError as error:
            self._driver._tell(f"Job {self._name} could not be ended: {error.problem.what}")

    def _clear(self, follower: Follower) -> None:
        """Delete the Job of the trial before and wait until its pods are gone.

        Here, not when that trial ended: the last Job of a run stays to be looked at. And waited for: what
        Kubernetes does to take pods away would be measured with the next ones.
        """
        left = self._driver._left
        if left is None:
            return
        deleted = self._patiently(lambda: self._client.delete(left.path, left.uid, "Background"))
        self._driver._left = None
        if deleted and not follower.await_gone(left.pod_uids, CLEAR_SECONDS):
            self._driver._tell("the pods of the trial before are not gone yet; going on beside them")

    def _measure(self, follower: Follower, manifest: Json) -> JobEnding:
        timeout = self._plan.settings.timeout_seconds
        self._start, self._started = Moment.now(), boot_seconds()
        self._asked = True
        self.by_hand = ByHand(".yaml", lambda: job_by_hand(manifest, self._plan, self._slot))
        job = self._patiently(lambda: self._create(manifest))
        self._tracker = tracker = Tracker(job, len(self._pis), self._started)
        ending = follower.follow(tracker, self._started + timeout)
        return ending or tracker.out_of_time(timeout)

    def _create(self, manifest: Json) -> Json:
        """Create the Job; a second try may find it there already."""
        try:
            return self._client.create(self._place.jobs, manifest)
        except KubeError as error:
            if error.status != 409:
                raise
        found = self._client.get(self._path)
        if not is_owned(found, self._driver._owner_uid):
            raise KubeError(
                Code.OBJECT_OF_OTHERS,
                f"Job {self._name}",
                f"there is one in namespace {self._place.namespace} that is not ours",
                "choose another benchmark_run_id or benchmark_namespace",
            )
        return found

    def _patiently(self, ask: Callable[[], Answer], seconds: float = OUTAGE_SECONDS) -> Answer:
        """Return the answer; while the API server is away, wait for it as long as while following a Job."""
        started = boot_seconds()
        deadline = started + min(seconds, self._plan.settings.timeout_seconds)
        api = f"API server {self._client.server}"
        met: set[str] = set()
        while True:
            began = boot_seconds()
            try:
                answer = ask()
            except KubeError as error:
                who, until = api, deadline
                if error.webhook:
                    who, until = error.webhook, min(deadline, started + _WEBHOOK_SECONDS)
                if not error.passes_by_itself or boot_seconds() > until:
                    self._outages.ended(api, boot_seconds(), "request")
                    raise
                met.add(who)
                self._outages.began(who, "is away", began, "request")
                self._outages.tell_new(boot_seconds())
                time.sleep(_RETRY_SECONDS)
            else:
                if boot_seconds() - began > SLOW_SECONDS:
                    self._outages.began(api, "did not answer", began, "request")
                self._outages.ended(api, boot_seconds(), "request")
                for who in met:
                    self._outages.ended(who, boot_seconds(), "request")
                return answer

    def _conclude(self, follower: Follower, ending: JobEnding) -> Measured:
        """Collect what the pods left, whatever of it can be had."""
        tracker, unheard = self._tracker, follower.unheard()
        assert tracker is not None
        ended = tracker.ended or boot_seconds()
        well = ending.problem is None
        if not well or tracker.succeeded < len(self._pis):
            # A failed trial is told of soon. A complete one is worth the same wait as while it ran.
            self._last_look(tracker, OUTAGE_SECONDS if well else 0)
        if not well:
            self._see_late_events(follower, tracker, ending)
            if ending.reason in ("FailedIndexes", "FailedCreate"):
                # By now all pods are known, which may not have been so when the Job's verdict or event came.
                ending = tracker.ending(boot_seconds()) or ending
            elif ending.reason == "Unschedulable":
                ending = self._why_no_pi_takes_it(ending, tracker)
        logs: dict[str, bytes] = {}
        if well:
            silent = [pod for pod in tracker.pods if not termination_message(pod)]
            logs = fetch_logs(self._client, self._place, tracker.pods if self._slot.round == 0 else silent)
        found, problems = workers(tracker, self._plan, self._slot, self._attempt, logs)
        if well and (misplaced := self._misplaced(tracker)):
            # A pod that found its Pi closed goes to one that another pod has just left.
            ending = self._why_no_pi_takes_it(_not_whole([*misplaced, *problems]), tracker)
        elif well and problems:
            ending = _not_whole(problems)
        if ending.problem is not None:
            missing = [pod for pod in tracker.pods if pod["metadata"]["name"] not in logs]
            logs |= fetch_logs(self._client, self._place, missing)
            found, _ = workers(tracker, self._plan, self._slot, self._attempt, logs)
            ending = self._with_last_words(self._with_an_image(ending), logs)
            self._stop(tracker)
        uids = frozenset(pod["metadata"]["uid"] for pod in tracker.pods)
        self._driver._left = _Left(self._path, tracker.uid, uids)
        wall = max(1e-9, ended - self._started) if ending.problem is None else None
        measured = self._measured(ending)
        trial = measured.trial.model_copy(
            update={
                "workers": found,
                "events": events(tracker.warnings),
                "wall_seconds": wall,
                "unheard": unheard,
                "job": MadeJob(uid=tracker.uid, created=tracker.job["metadata"].get("creationTimestamp")),
            }
        )
        return Measured(trial, logs)

    def _measured(self, ending: JobEnding) -> Measured:
        return Measured(
            Trial(
                run_id=self._plan.run_id,
                plan_sha256=self._driver._seal,
                slot=self._slot,
                attempt=self._attempt,
                started=self._start,
                spent_seconds=boot_seconds() - self._entered,
                wall_seconds=None,
                outcome="failed" if ending.problem else "ok",
                problem=ending.problem,
                passes_by_itself=ending.passes_by_itself,
                outages=self._outages.since(self._started),
            )
        )

    def _last_look(self, tracker: Tracker, patience_seconds: float) -> None:
        """List the pods once more: what the watch has not told yet."""
        try:
            pods = self._patiently(
                lambda: listed_pods(self._client, self._place, self._plan.run_id), patience_seconds
            )
        except KubeError as error:
            # The watch has told of most pods, perhaps of all.
            self._driver._tell(f"the pods' last states are missing: {error.problem}")
            return
        for pod in pods:
            tracker.see_pod(pod, boot_seconds())

    def _see_late_events(self, follower: Follower, tracker: Tracker, ending: JobEnding) -> None:
        if ending.has_event:
            follower.await_event(EVENT_SECONDS)
        try:
            found, _ = self._client.list_all(self._place.events, {"fieldSelector": "type=Warning"})
        except KubeError as error:
            if not error.refused:
                self._driver._tell(f"the latest events are missing: {error.problem}")
            return
        for event in found:
            tracker.see_event(event, boot_seconds())

    def _why_no_pi_takes_it(self, ending: JobEnding, tracker: Tracker) -> JobEnding:
        """Name the Pi that takes no pod: the scheduler counts Pis and doesn't name them."""
        try:
            found = read_nodes(self._client, self._pis, self._plan.settings.architecture)
        except KubeError as error:
            return without_nodes(ending, self._pis, tracker.states) if error.status == 403 else ending
        problems = [problem for node in found.nodes for problem in node.problems]
        return replace(ending, problem=problems[0]) if problems else ending

    def _misplaced(self, tracker: Tracker) -> list[Problem]:
        step = "see what else Kubernetes placed or removed (kubectl get events -A), then run again"
        return [
            Problem(
                code=Code.PODS_MISPLACED,
                subject=f"Job {self._name}",
                what=f"completed, but {line}",
                next_step=step,
            )
            for line in placement_problems(tracker.states, self._pis)
        ]

    def _with_an_image(self, ending: JobEnding) -> JobEnding:
        """Say which image would do, where this one has not what runs in it."""
        problem = ending.problem
        if not problem or problem.code != Code.IMAGE_WITHOUT_INTERPRETER or not no_such_program(problem.what):
            return ending
        settings = self._plan.settings
        step = workload_of(settings).without_interpreter(settings)
        return replace(ending, problem=problem.model_copy(update={"next_step": step}))

    def _with_last_words(self, ending: JobEnding, logs: dict[str, bytes]) -> JobEnding:
        """Add the failed pod's last words and where the rest of its log is; or let them say what it was."""
        log = logs.get(ending.pod_name or "", b"")
        if ending.problem is None or not log or log.startswith(b"(no log"):
            return ending
        said = last_line(log)
        problem = ending.problem
        settings = self._plan.settings
        told = workload_of(settings).failure(settings, said, problem.subject)
        if told and problem.code in (Code.POD_FAILED, told.code):
            # The pod's exit code is the wrapper's: it says less, and looks like the program's.
            step = told.next_step if problem.code == Code.POD_FAILED else problem.next_step
            problem = told.model_copy(update={"what": f"{told.what}{ending.others}", "next_step": step})
        elif said:
            problem = problem.model_copy(update={"what": f'{problem.what}; its last log line: "{said}"'})
        name = self._slot.attempt(self._attempt)
        step = f"{problem.next_step} (whole log: logs/{name}/{ending.pod_name}.log)"
        return replace(ending, problem=problem.model_copy(update={"next_step": step}))

    def _stop(self, tracker: Tracker) -> None:
        """Suspend a Job that is given up but still alive: its pods end, it stays there to be looked at."""
        if job_verdict(tracker.job) or tracker.deleted:
            return
        suspended = {"metadata": {"uid": tracker.uid}, "spec": {"suspend": True}}
        try:
            self._client.patch(self._path, suspended)
        except KubeError as error:
            if not error.is_gone:
                self._driver._tell(f"Job {self._name} could not be stopped: {error.problem.what}")


def without_nodes(ending: JobEnding, pis: Sequence[str], states: Iterable[PodState]) -> JobEnding:
    """Name the Pis that got no pod, where the nodes may not be listed: why is not known then."""
    problem = ending.problem
    if problem is None:
        return ending
    taken = {state.node for state in states}
    without = listed((pi for pi in pis if pi not in taken), most=3)
    what = f"got no pod ({one_line(problem.cause, 110)})" if without else problem.what
    problem = Problem(
        code=problem.code,
        subject=without or problem.subject,
        what=f"{what}, and the kubeconfig may not list nodes to see why",
        next_step="ask somebody who may (kubectl get nodes) whether each Pi is there under its name, Ready "
        "and not cordoned, then run again",
    )
    return replace(ending, problem=problem)


def _not_whole(problems: list[Problem]) -> JobEnding:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return JobEnding("NotOneResultPerPi", first.model_copy(update={"what": f"{first.what}{more}"}))
