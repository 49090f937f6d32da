"""All virtual Pis of a lab: started together, fed by one watch of the pods and one of the nodes."""

import asyncio
import contextlib

from .api import Api, Json, Link
from .config import Config
from .control import serve_control
from .cpu_budget import CpuBudget, TokenBucket
from .events import EventRecorder
from .log_server import LogServer
from .node_agent import NodeAgent
from .pi import VirtualPi
from .pod import PodRunner


class VirtualPis:
    """The program's state. ``serve`` runs until it is cancelled, and then leaves no process behind."""

    def __init__(self, config: Config, namespaces: bool) -> None:
        self._config = config
        self._file_system = "boxed" if namespaces else "unboxed: paths rewritten, nothing hidden or read-only"
        self._api = Api(config)
        self._budget = CpuBudget()
        self._pods: dict[str, PodRunner] = {}  # by uid
        self._agents: dict[str, NodeAgent] = {}
        self._pis = {}
        for pi in config.pis:
            link = Link(self._api)
            folder = config.dir / "pods" / pi.name
            events = EventRecorder(link, pi.name)
            bucket = TokenBucket(pi.cpus)
            self._pis[pi.name] = VirtualPi(pi, link, events, self._budget, bucket, folder, namespaces)
        self._by_address = {pi.address: pi.name for pi in config.pis}

    async def serve(self) -> None:
        """Register, then play the kubelet of every Pi."""
        logs = LogServer(self._config, self._find_pod)
        buckets = {name: pi.bucket for name, pi in self._pis.items()}
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._api.session.close)
            stack.callback(self._budget.close)
            control = await serve_control(self._config.control_socket, self._budget, buckets)
            stack.callback(control.close)
            stack.push_async_callback(logs.close)
            ports = await logs.start()
            for name, pi in self._pis.items():
                version = self._config.kubernetes_version
                self._agents[name] = NodeAgent(pi.config, ports[name], version, self._file_system, pi.link)
            await asyncio.gather(*(agent.register() for agent in self._agents.values()))
            stack.push_async_callback(self._end_pods)
            async with asyncio.TaskGroup() as tasks:
                for agent in self._agents.values():
                    tasks.create_task(agent.run())
                for pi in self._pis.values():
                    tasks.create_task(pi.events.run())
                tasks.create_task(self._follow_nodes())
                tasks.create_task(self._follow_pods(tasks))

    async def _end_pods(self) -> None:
        for runner in self._pods.values():
            runner.task.cancel()
        await asyncio.gather(*(runner.task for runner in self._pods.values()), return_exceptions=True)

    async def _follow_nodes(self) -> None:
        async for kind, found in self._api.follow("/api/v1/nodes", {}):
            for node in found["items"] if kind == "SYNC" else [found]:
                agent = self._agents.get(node["metadata"]["name"])
                if agent and kind != "DELETED":
                    agent.observe(node)

    async def _follow_pods(self, tasks: asyncio.TaskGroup) -> None:
        async for kind, found in self._api.follow("/api/v1/pods", {"fieldSelector": "spec.nodeName!="}):
            if kind == "SYNC":
                for pod in found["items"]:
                    self._observe(pod)
                present = {pod["metadata"]["uid"] for pod in found["items"]}
                for uid in self._pods.keys() - present:
                    tasks.create_task(self._pods.pop(uid).removed())
            elif kind == "DELETED":
                if runner := self._pods.pop(found["metadata"]["uid"], None):
                    tasks.create_task(runner.removed())
            else:
                self._observe(found)

    def _observe(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._pods:
            self._pods[uid].update(pod)
        elif pi := self._pis.get(pod["spec"].get("nodeName", "")):
            self._pods[uid] = PodRunner(pod, pi)

    async def _find_pod(self, address: str, namespace: str, name: str) -> PodRunner | None:
        pi = self._pis[self._by_address[address]]
        await pi.link.up.wait()
        for runner in self._pods.values():
            meta = runner.pod["metadata"]
            if (meta["namespace"], meta["name"]) == (namespace, name):
                return runner if runner.pod["spec"]["nodeName"] == pi.config.name else None
        return None
