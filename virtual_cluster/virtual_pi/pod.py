"""One pod's life on its Pi, from its binding to its confirmed deletion."""

import asyncio
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from .api import STRATEGIC, ApiError, Json
from .container import log_file
from .container_runner import ContainerRunner
from .pi import VirtualPi
from .spec import PodPlan, UnsupportedPodError, plan_pod
from .status import LOST, ContainerView, Terminated, Verdict, Waiting, pod_status
from .times import epoch_seconds
from .volumes import MountError, fill_volume

_MOUNT_RETRY_SECONDS = (0.5, 122.0)  # first and longest pause, doubled in between; as in the kubelet
# A process gone by SIGKILL is reported within this time, or given up for lost.
_KILL_SECONDS = 5.0


class PodRunner:
    """Runs one pod; ``update`` and ``removed`` bring the API server's news of it."""

    def __init__(self, pod: Json, pi: VirtualPi) -> None:
        meta = pod["metadata"]
        self.pod, self._pi = pod, pi
        self.folder = pi.folder / meta["uid"]
        self._path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self._identity = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        self._started_at = time.time()
        containers = pod["spec"]["containers"]
        self._views = {c["name"]: ContainerView(c["name"], c["image"], Waiting()) for c in containers}
        self._containers: list[ContainerRunner] = []
        self._verdict: Verdict | None = None
        self._deleting = asyncio.Event()
        self._reporting = asyncio.Lock()
        self.update(pod)
        self.task = asyncio.create_task(self._run())

    def update(self, pod: Json) -> None:
        """The pod as it is now."""
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._deleting.set()

    async def removed(self) -> None:
        """The pod is no more: end what still runs and forget it."""
        await self._pi.link.up.wait()  # a lost Pi doesn't hear of it
        self.task.cancel()
        await asyncio.wait([self.task])
        self._pi.events.forget(self.pod)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, container: str) -> Path | None:
        """The log of a container that has started, else None."""
        path = log_file(self.folder, container)
        return path if self.view(container).container_id and path.exists() else None

    def view(self, container: str) -> ContainerView:
        """What is known of a container; KeyError for a name that the pod doesn't have."""
        return self._views[container]

    async def _run(self) -> None:
        try:
            status = self.pod.get("status", {})
            if status.get("phase") not in ("Succeeded", "Failed"):
                if status.get("startTime"):
                    # An earlier life of this program started it, and its processes died with that.
                    self._started_at = epoch_seconds(status["startTime"])
                    await self._give_up(None)
                else:
                    await self._live()
            await self._deleting.wait()
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.pod["metadata"]["uid"]}}
            await self._pi.link.call("DELETE", self._path, body)
        except ApiError as error:
            if error.status not in (404, 409):  # gone, or replaced by a namesake: nothing left to say
                print(f"{self._pi.config.name}: pod {self._identity}: {error}", file=sys.stderr)
        finally:
            self._kill()

    async def _live(self) -> None:
        try:
            plan = plan_pod(self.pod, self._pi.config)
        except UnsupportedPodError as error:
            self._event("Warning", "UnsupportedByVirtualPi", str(error))
            self._views.clear()
            await self._give_up(Verdict("UnsupportedByVirtualPi", f"Pod was rejected: {error}"))
            return
        await self._report()
        work = asyncio.create_task(self._work(plan))
        deleting = asyncio.create_task(self._deleting.wait())
        try:
            await asyncio.wait([work, deleting], timeout=plan.deadline_seconds, return_when="FIRST_COMPLETED")
            if not work.done():
                await self._pi.link.up.wait()  # nor of a deletion that it should confirm
                await self._end(work, over_deadline=not self._deleting.is_set())
            else:
                work.result()
        finally:
            work.cancel()
            deleting.cancel()

    async def _end(self, work: "asyncio.Task[None]", over_deadline: bool) -> None:
        if over_deadline:
            message = "Pod was active on the node longer than the specified deadline"
            self._event("Warning", "DeadlineExceeded", message)
            self._verdict = Verdict("DeadlineExceeded", message)
        for container in self._containers:
            if container.process:
                name = container.plan.name
                self._event("Normal", "Killing", f"Stopping container {name}", name)
                container.process.terminate()
        if any(container.process for container in self._containers):
            default = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
            grace = self.pod["metadata"].get("deletionGracePeriodSeconds", default)
            await asyncio.wait([work], timeout=grace)
            self._kill()
            await asyncio.wait([work], timeout=_KILL_SECONDS)
        work.cancel()
        await asyncio.wait([work])
        await self._give_up(self._verdict)

    def _kill(self) -> None:
        for container in self._containers:
            if container.process:
                container.process.kill()

    async def _give_up(self, verdict: Verdict | None) -> None:
        """Report a terminal phase: a Job with a podFailurePolicy waits for one before the pod may go."""
        self._verdict = verdict
        for name, view in self._views.items():
            if not isinstance(view.state, Terminated):
                self._views[name] = replace(view, state=LOST)
        await self._report()

    async def _work(self, plan: PodPlan) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        await self._mount(plan)
        hostname = self.pod["spec"].get("hostname") or self.pod["metadata"]["name"][:63]
        self._containers = [
            ContainerRunner(
                container,
                self._views[container.name],
                self._pi,
                self.folder,
                hostname,
                self._identity,
                self._show,
                self._event,
            )
            for container in plan.containers
        ]
        await asyncio.gather(*(container.run() for container in self._containers))

    async def _mount(self, plan: PodPlan) -> None:
        pause, longest = _MOUNT_RETRY_SECONDS
        for volume in plan.volumes:
            folder = self.folder / "volumes" / volume.name
            while True:
                try:
                    await fill_volume(volume, folder, self.pod, self._pi.config, self._pi.link)
                    break
                except MountError as error:
                    self._event("Warning", "FailedMount", str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, longest)

    async def _show(self, view: ContainerView) -> None:
        self._views[view.name] = view
        await self._report()

    async def _report(self) -> None:
        async with self._reporting:
            views = list(self._views.values())
            address = self._pi.config.address
            status = pod_status(self.pod, address, views, self._verdict, self._started_at, time.time())
            body = {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": status}
            self.pod = await self._pi.link.call("PATCH", f"{self._path}/status", body, content_type=STRATEGIC)

    def _event(self, type: str, reason: str, message: str, container: str = "") -> None:
        self._pi.events.record(self.pod, type, reason, message, container)
