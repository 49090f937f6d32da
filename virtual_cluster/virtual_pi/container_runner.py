"""One container's way from its image to its end, as events and states."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from .container import Container, StartError, box_plan, start_container
from .cpu_budget import TokenBucket
from .images import Image, ImageError, find_image
from .pi import VirtualPi
from .spec import ContainerPlan
from .status import ContainerView, Running, Terminated, Waiting

_PULL_RETRY_SECONDS = (10.0, 300.0)  # first and longest pause, doubled in between; as in the kubelet
# How long ErrImagePull is shown before it becomes ImagePullBackOff.
_PULL_ERROR_SECONDS = 2.0


@dataclass(slots=True)
class ContainerRunner:
    """``show`` tells the API server of a new view, ``event`` records (type, reason, message, container)."""

    plan: ContainerPlan
    view: ContainerView
    pi: VirtualPi
    folder: Path
    hostname: str
    pod_identity: str
    show: Callable[[ContainerView], Awaitable[None]]
    event: Callable[[str, str, str, str], None]
    process: Container | None = None

    async def run(self) -> None:
        """Run it to its end; a container that cannot start stays waiting until the pod's deletion."""
        image = await self._pull()
        await self._check_user()
        name = self.plan.name
        container_id = f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}"
        self.view = replace(
            self.view, image=image.reference, image_id=image.image_id, container_id=container_id
        )
        self._event("Normal", "Created", f"Created container: {name}")
        try:
            self.process = await self._start(image)
        except StartError as error:
            message = (
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
                f"unable to start container process: {error}"
            )
            self._event("Warning", "Failed", f"Error: {message}")
            await self._show(Terminated(128, "StartError", message, 0, time.time()))
            return
        started_at = time.time()
        self._event("Normal", "Started", f"Started container {name}")
        await self._show(Running(started_at))
        code, finished_at = await self.process.wait()
        message = self.process.message(code)
        self.process = None
        reason = "Error" if code else "Completed"
        await self._show(Terminated(code, reason, message, started_at, finished_at))

    async def _start(self, image: Image) -> Container:
        pi, limit = self.pi, self.plan.cpu_limit
        buckets = [pi.bucket]
        if limit is not None and limit < pi.config.cpus:
            buckets.append(TokenBucket(limit))
        plan = box_plan(self.plan, image, pi.config, self.hostname, self.folder, pi.namespaces)
        return await start_container(plan, self.plan, self.folder, pi.budget, buckets)

    async def _check_user(self) -> None:
        if not self.plan.run_as_non_root or self.plan.uid:
            return
        where = f'(pod: "{self.pod_identity}", container: {self.plan.name})'
        if self.plan.uid is None:
            message = f"container has runAsNonRoot and image will run as root {where}"
        else:
            message = f"container's runAsUser breaks non-root policy {where}"
        await self._stay("CreateContainerConfigError", message)

    async def _pull(self) -> Image:
        quoted = f'"{self.plan.image}"'
        pause, longest = _PULL_RETRY_SECONDS
        while True:
            try:
                image = find_image(self.plan.image)
            except ImageError as error:
                failure = error
            else:
                present = f"Container image {quoted} already present on machine"
                text = f"Successfully pulled image {quoted}" if self.plan.always_pull else present
                self._event("Normal", "Pulled", f"{text} ({image.description})")
                return image
            if failure.reason == "InvalidImageName":
                await self._stay("InvalidImageName", str(failure))
            if self.plan.never_pull:
                message = f"Container image {quoted} is not present with pull policy of Never"
                self._event("Warning", "ErrImageNeverPull", message)
                await self._stay("ErrImageNeverPull", message)
            self._event("Normal", "Pulling", f"Pulling image {quoted}")
            self._event("Warning", "Failed", f"Failed to pull image {quoted}: {failure}")
            self._event("Warning", "Failed", "Error: ErrImagePull")
            await self._show(Waiting("ErrImagePull", str(failure)))
            await asyncio.sleep(_PULL_ERROR_SECONDS)
            back_off = f"Back-off pulling image {quoted}"
            self._event("Normal", "BackOff", back_off)
            self._event("Warning", "Failed", "Error: ImagePullBackOff")
            await self._show(Waiting("ImagePullBackOff", f"{back_off}: ErrImagePull: {failure}"))
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _stay(self, reason: str, message: str) -> NoReturn:
        self._event("Warning", "Failed", f"Error: {message}")
        await self._show(Waiting(reason, message))
        await asyncio.get_running_loop().create_future()
        raise AssertionError("a future that nobody completes")

    async def _show(self, state: Waiting | Running | Terminated) -> None:
        self.view = replace(self.view, state=state)
        await self.show(self.view)

    def _event(self, type: str, reason: str, message: str) -> None:
        self.event(type, reason, message, self.plan.name)
