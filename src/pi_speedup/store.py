"""A run's folder on the control host: private, and each file whole or absent."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from pi_speedup.codes import Code
from pi_speedup.model.base import AnyModel, Model, load
from pi_speedup.model.host import AFTER, BEFORE, Host, HostLook, HostState, When
from pi_speedup.model.node import Nodes
from pi_speedup.model.plan import Plan
from pi_speedup.model.trial import Trial
from pi_speedup.problem import Problem, ProblemError, refuse
from pi_speedup.text import one_line

# The folder, within a run's, for what must not outlive the run.
PRIVATE = "private"
# A longer log is kept up to here, and says so.
MAX_LOG_BYTES = 262_144


class RunStore:
    """One run's folder. Files are made with mode 0600, folders with 0700, whatever the umask.

    All methods raise ProblemError: its line names the file and the next step.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def has_plan(self) -> bool:
        """Whether the plan is sealed."""
        return self._has("plan.json")

    def plan(self) -> Plan:
        """Return the sealed plan."""
        return self._read(Plan, "plan.json")

    def nodes(self) -> Nodes | None:
        """Return the Pis as the cluster described them, None if it was not asked."""
        return self._read(Nodes, "nodes.json") if self._has("nodes.json") else None

    def hosts(self, pis: Iterable[str]) -> tuple[Host, ...]:
        """Return the Pis as they were before and after, in the order given; none where none was looked at."""
        hosts = tuple(
            Host(name=pi, before=self._state(pi, BEFORE), after=self._state(pi, AFTER)) for pi in pis
        )
        return hosts if any(host.before or host.after for host in hosts) else ()

    def cores(self, pis: Iterable[str]) -> dict[str, int]:
        """Return how many cores each Pi has, as the cluster says or the Pi itself, if one of them does."""
        nodes = self.nodes()
        by_itself = {
            host.name: host.before.cores for host in self.hosts(pis) if host.before and host.before.cores
        }
        return by_itself | {node.name: node.cores for node in (nodes.nodes if nodes else ()) if node.cores}

    def unfit(self, hosts: Iterable[str]) -> dict[str, tuple[Problem, ...]]:
        """Return what was kept of the problems that each Pi had before the run, by its inventory's name."""
        looks = {host: self.look(host, BEFORE) for host in hosts}
        return {host: look.problems for host, look in looks.items() if look and look.problems}

    def pi_of(self, host: str) -> str:
        """Return a Pi's name by its host's in the inventory; they differ where the latter is an address."""
        nodes = self.nodes()
        known = (*nodes.nodes, *nodes.left_out) if nodes else ()
        return next((node.name for node in known if node.host == host), host)

    def host_of(self, pi: str) -> str:
        """Return what the inventory calls a Pi."""
        nodes = self.nodes()
        return next((node.inventory_name for node in nodes.nodes if node.name == pi), pi) if nodes else pi

    def rename_looks(self, host: str, pi: str) -> None:
        """Give what was seen of a host before its node was known the name of the Pi."""
        whens: tuple[When, ...] = (BEFORE, AFTER)
        for when in whens:
            look = self.look(host, when)
            if look is not None and host != pi:
                self.write({f"hosts/{pi}.{when}.json": look.model_copy(update={"pi": pi})})
                with _named(self.folder / f"hosts/{host}.{when}.json"):
                    (self.folder / f"hosts/{host}.{when}.json").unlink()

    def trials(self) -> tuple[Trial, ...]:
        """Return all trials on disk in the order of the plan; those of another plan or run are refused."""
        plan = self.plan()
        seal, slots = plan.sha256, frozenset(plan.slots)
        found = []
        for path in sorted((self.folder / "trials").glob("*.json")):
            trial = self._read(Trial, f"trials/{path.name}")
            where = str(path)
            if trial.run_id != plan.run_id or trial.plan_sha256 != seal:
                raise refuse(
                    Code.TRIAL_DOES_NOT_FIT, where, "a trial of another plan", "move it out of the folder"
                )
            if path.name != f"{trial.name}.json":
                raise refuse(
                    Code.TRIAL_DOES_NOT_FIT,
                    where,
                    f"its content belongs into {trial.name}.json",
                    "give it its name back",
                )
            if trial.slot not in slots:
                raise refuse(
                    Code.TRIAL_DOES_NOT_FIT, where, "the plan has no such trial", "move it out of the folder"
                )
            found.append(trial)
        return tuple(sorted(found, key=lambda trial: (trial.slot.round, trial.slot.position, trial.attempt)))

    def seal(self, plan: Plan) -> None:
        """Write the plan, which is never changed again."""
        if self.has_plan:
            raise refuse(
                Code.RUN_WRITTEN_BY_ANOTHER,
                str(self.folder / "plan.json"),
                "sealed already",
                "choose another benchmark_run_id",
            )
        self.write({"plan.json": plan})

    def add(self, trial: Trial, logs: Mapping[str, str | bytes] | None = None) -> None:
        """Keep a trial that has ended; its logs (name -> content) first, so that a trial on disk is whole."""
        if not self.has_plan:
            # A trial beside no plan is worth nothing, and all that follow it neither.
            raise refuse(
                Code.RUN_PLAN_GONE,
                str(self.folder),
                "its plan is gone: someone moved or removed it while it measured",
                "put it back and go on with this benchmark_run_id, or begin a new run",
            )
        if (self.folder / f"trials/{trial.name}.json").exists():
            raise refuse(
                Code.RUN_WRITTEN_BY_ANOTHER,
                trial.name,
                "measured already",
                "look who else writes into this run's folder",
            )
        self.write({f"logs/{trial.name}/{name}.log": bounded(log) for name, log in (logs or {}).items()})
        self.write({f"trials/{trial.name}.json": trial})

    def write(self, files: Mapping[str, Model | str | bytes]) -> list[str]:
        """Write files (path relative to the folder -> content); return the paths that changed.

        A reader, or a crash at any moment, sees the old content or the new, never a part.
        """
        return [name for name, content in files.items() if self._write_one(name, _as_bytes(content))]

    def link_as_latest(self) -> None:
        """Let the link `latest`, beside the folder, point to it; an older link is replaced in one step."""
        link = self.folder.parent / "latest"
        if link.exists() and not link.is_symlink():
            raise refuse(
                Code.FILE_IN_THE_WAY,
                str(link),
                "not a link",
                "move it away, or choose another benchmark_runs_dir",
            )
        fresh = self.folder.parent / f".latest.{os.getpid()}"
        with _named(link):
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self.folder.name)
            fresh.replace(link)

    def _has(self, name: str) -> bool:
        try:
            return (self.folder / name).exists()
        except OSError as error:
            raise _unreadable(self.folder / name, error) from None

    def _read(self, model: type[AnyModel], name: str) -> AnyModel:
        path = self.folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise refuse(
                Code.RUN_MISSING, str(path), "missing", "name a run with benchmark_run_id, or measure first"
            ) from None
        except OSError as error:
            raise _unreadable(path, error) from None
        try:
            return load(model, data, str(path))
        except ProblemError as error:
            step = "take it from a copy of the run, or move a trial out of the folder and measure it anew"
            raise refuse(Code.FILE_SPOILT, error.problem.subject, error.problem.what, step) from None

    def look(self, pi: str, when: When) -> HostLook | None:
        """Return what was seen of a Pi, None if it was not looked at."""
        name = f"hosts/{pi}.{when}.json"
        return self._read(HostLook, name) if self._has(name) else None

    def _state(self, pi: str, when: When) -> HostState | None:
        look = self.look(pi, when)
        return look.state if look else None

    def _write_one(self, name: str, content: bytes) -> bool:
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise refuse(Code.MISTAKE_IN_THIS_PROGRAM, name, "not a path inside the run's folder")
        target = self.folder / relative
        with _named(target):
            if target.is_file() and target.read_bytes() == content:
                return False
            _make_folder(self.folder.parent)
            for private in (self.folder, *reversed([self.folder / each for each in relative.parents[:-1]])):
                _make_folder(private)
            _replace(target, content)
        return True


def remove_private(folder: Path) -> list[str]:
    """Remove the folder `private` in folder and in each folder within it; return the paths of the removed.

    A folder that held nothing else goes with it. Links are not followed: `latest` leads to a run that is
    there under its own name. ProblemError where one cannot be removed.
    """
    removed = []
    for private in [folder / PRIVATE, *sorted(folder.glob(f"*/{PRIVATE}"))]:
        if private.is_symlink() or private.parent.is_symlink() or not private.is_dir():
            continue
        try:
            shutil.rmtree(private)
        except OSError as error:
            raise refuse(
                Code.KEY_NOT_REMOVED,
                str(private),
                f"cannot be removed ({error.strerror}) and may hold a key",
                "remove it by hand",
            ) from error
        removed.append(str(private))
        with contextlib.suppress(OSError):
            if private.parent != folder:
                private.parent.rmdir()
    return removed


def bounded(log: str | bytes) -> bytes:
    """Return a log, cut to MAX_LOG_BYTES with a line that says so."""
    data = log.encode("utf-8", "surrogatepass") if isinstance(log, str) else log
    if len(data) <= MAX_LOG_BYTES:
        return data
    return data[:MAX_LOG_BYTES] + b"\n(cut: the log is longer)\n"


def _as_bytes(content: Model | str | bytes) -> bytes:
    text = content.text() if isinstance(content, Model) else content
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def _unreadable(path: Path, error: OSError) -> ProblemError:
    return refuse(Code.FILE_UNREADABLE, one_line(path), f"cannot be read ({error.strerror})", "make it yours")


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, ProblemError):
            raise
        raise refuse(
            Code.FILE_NOT_WRITTEN,
            str(path),
            f"cannot be written ({error.strerror})",
            "make room there or give write permission; what was written before is whole",
        ) from error


def _replace(target: Path, content: bytes) -> None:
    # mkstemp gives mode 0600 from the start: no moment at which others can read.
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
