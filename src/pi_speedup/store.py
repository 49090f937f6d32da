"""A run's folder on the control host: private, and each file whole or absent."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from pi_speedup.codes import Code
from pi_speedup.files import UnfitFileError, is_there, make_private_folder, read_file, write_file
from pi_speedup.model.base import MAX_FILE_BYTES, RUN_ID, AnyModel, Model, load
from pi_speedup.model.calibration import Calibration
from pi_speedup.model.host import AFTER, BEFORE, Host, HostLook, HostState, When, look_file, session_of
from pi_speedup.model.node import Nodes
from pi_speedup.model.owner import Owners
from pi_speedup.model.plan import Plan
from pi_speedup.model.run import Run
from pi_speedup.model.trial import ByHand, Trial
from pi_speedup.problem import Problem, ProblemError, refuse
from pi_speedup.text import one_line

RUN_FILE = "run.json"
CALIBRATION_FILE = "calibration.json"
# The folder, within a run's, for what must not outlive the run.
PRIVATE = "private"
OWNER = "owner.json"
MANIFESTS = "manifests"
# A longer log is kept up to here, and says so.
MAX_LOG_BYTES = 262_144
_FROM_A_COPY = "take it from a copy of the run, or move a trial out of the folder and measure it anew"


class RunStore:
    """One run's folder. Files are made with mode 0600, folders with 0700, whatever the umask.

    All methods raise ProblemError: its line names the file and the next step.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def has_run(self) -> bool:
        """Whether it tells what opening it found out."""
        return self._has(RUN_FILE)

    def run(self) -> Run:
        """Return what opening it found out."""
        return self.read(Run, RUN_FILE)

    @property
    def has_plan(self) -> bool:
        """Whether the plan is sealed."""
        return self._has("plan.json")

    def plan(self) -> Plan:
        """Return the sealed plan."""
        return self.read(Plan, "plan.json").sealed(self._sha256("plan.json"))

    def nodes(self) -> Nodes | None:
        """Return the Pis as the cluster described them, None if it was not asked."""
        return self.read(Nodes, "nodes.json") if self._has("nodes.json") else None

    def hosts(self, pis: Iterable[str]) -> tuple[Host, ...]:
        """Return the Pis as they were before and after each session, in the order given.

        None of a session in which none was looked at.
        """
        names, found = tuple(pis), []
        for session in sorted({session_of(path.name) for path in self._json_in("hosts")}):
            of_session = [
                Host(
                    name=pi,
                    session=session,
                    before=self._state(pi, BEFORE, session),
                    after=self._state(pi, AFTER, session),
                )
                for pi in names
            ]
            found += of_session if any(host.before or host.after for host in of_session) else []
        return tuple(found)

    def cores(self, pis: Iterable[str]) -> dict[str, int]:
        """Return how many cores each Pi has, as the cluster says or the Pi itself, if one of them does."""
        nodes = self.nodes()
        by_itself = {
            host.name: host.before.cores for host in self.hosts(pis) if host.before and host.before.cores
        }
        return by_itself | {node.name: node.cores for node in (nodes.nodes if nodes else ()) if node.cores}

    def unfit(self, hosts: Iterable[str], session: int = 1) -> dict[str, tuple[Problem, ...]]:
        """Return what was kept of the problems that each Pi had before a session, by its inventory's name."""
        looks = {host: self.look(host, BEFORE, session) for host in hosts}
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
                renamed = look.model_copy(update={"pi": pi})
                self.write({renamed.file: renamed})
                with _named(self.folder / look_file(host, when, 1)):
                    (self.folder / look_file(host, when, 1)).unlink()

    def trials(self) -> tuple[Trial, ...]:
        """Return all trials on disk in the order of the plan; those of another plan or run are refused."""
        plan = self.plan()
        seal, slots = plan.sha256, frozenset(plan.slots)
        found = []
        for path in self._json_in("trials"):
            trial = self.read(Trial, f"trials/{path.name}")
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

    def sha256_of(self, trial: Trial) -> str:
        """Return the SHA-256 of a trial's file: as it is, since another version would write it otherwise."""
        return self._sha256(f"trials/{trial.name}.json")

    def _sha256(self, name: str) -> str:
        path = self.folder / name
        try:
            return hashlib.sha256(read_file(path, MAX_FILE_BYTES)).hexdigest()
        except OSError as error:
            raise _unreadable(path, error) from None

    def last_sha256(self, trials: Iterable[Trial]) -> str:
        """Return the hash of the trial that was measured last, of the plan where there is none."""
        last = max(trials, key=lambda trial: trial.number, default=None)
        return self.plan().sha256 if last is None else self.sha256_of(last)

    def log(self, trial: str, worker: str) -> bytes | None:
        """Return what a worker of a trial printed; None where that was not kept, or cannot be read."""
        try:
            return read_file(self.folder / f"logs/{trial}/{worker}.log", 2 * MAX_LOG_BYTES)
        except OSError:
            return None

    @property
    def is_reported(self) -> bool:
        """Whether report.json is as new as each file that a report is made of: a run may end in between."""
        names = [name for name in ("plan.json", "nodes.json") if self._has(name)]
        paths = [self.folder / name for name in names] + self._json_in("trials") + self._json_in("hosts")
        report = self.folder / "report.json"
        try:
            last = max((path.lstat().st_mtime_ns for path in paths), default=0)
            return is_there(report) and report.lstat().st_mtime_ns >= last
        except OSError as error:
            raise _unreadable(report, error) from None

    def owners(self, namespace: str) -> tuple[str, ...]:
        """Return the uids of the ConfigMaps of a namespace that are known from here."""
        known = self.read(Owners, OWNER) if self._has(OWNER) else None
        return known.uids if known and known.namespace == namespace else ()

    def note_owner(self, namespace: str, uid: str) -> None:
        """Keep the uid of the ConfigMap that owns what is in this namespace, beside those known of it."""
        known = self.owners(namespace)
        if uid not in known:
            self.write({OWNER: Owners(namespace=namespace, uids=(*known, uid))})

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
                "put it back, then run again; or begin a new run",
            )
        if self._has(f"trials/{trial.name}.json"):
            raise refuse(
                Code.RUN_WRITTEN_BY_ANOTHER,
                trial.name,
                "measured already",
                "look who else writes into this run's folder",
            )
        self.keep_logs(trial.name, logs or {})
        self.write({f"trials/{trial.name}.json": trial})

    def keep_logs(self, trial: str, logs: Mapping[str, str | bytes]) -> None:
        """Keep what the workers of a trial printed (name -> content)."""
        self.write({f"logs/{trial}/{name}.log": bounded(log) for name, log in logs.items()})

    def keep_calibration(self, calibration: Calibration) -> None:
        """Keep what the plan decides its amounts by."""
        self.write({CALIBRATION_FILE: calibration})

    def calibration(self) -> Calibration | None:
        """Return what the plan decides its amounts by, None if nothing was asked."""
        return self.read(Calibration, CALIBRATION_FILE) if self._has(CALIBRATION_FILE) else None

    def keep_by_hand(self, cell: str, by_hand: ByHand) -> None:
        """Keep how a cell's trials are started by hand, if that is not there yet: it shows the first one."""
        name = f"{MANIFESTS}/{cell}{by_hand.ending}"
        if not self._has(name):
            self.write({name: by_hand.text()})

    def write(self, files: Mapping[str, Model | str | bytes]) -> list[str]:
        """Write files (path relative to the folder -> content); return the paths that changed.

        A reader, or a crash at any moment, sees the old content or the new, never a part. What is there
        already is replaced only if it is a run's: it lies beside a plan, or its content is of the same kind.
        """
        return [name for name, content in files.items() if self._write_one(name, content)]

    def link_as_latest(self) -> None:
        """Let the link `latest`, beside the folder, point to it; an older link is replaced in one step.

        One that was not made here stays: it leads out of the folder, or to what is not a run's.
        """
        link = self.folder.parent / "latest"
        fresh = link.with_name(f".latest.{secrets.token_hex(8)}")
        with _named(link):
            if is_there(link) and not _leads_to_a_run(link):
                raise _in_the_way(link, "not a link to a run", "choose another benchmark_runs_dir")
            fresh.symlink_to(self.folder.name)
            try:
                fresh.replace(link)
            except OSError:
                fresh.unlink()
                raise

    def _has(self, name: str) -> bool:
        path = self.folder / name
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        except OSError as error:
            # A file where a folder of the run should be is not as good as an empty one.
            if isinstance(error, NotADirectoryError) and path.parent == self.folder:
                return False
            raise _unreadable(path, error) from None
        return True

    def _json_in(self, name: str) -> list[Path]:
        """Return what a folder has whose name ends in .json, in the order of names; [] if it is not there."""
        folder = self.folder / name
        if not self._has(name):
            return []
        try:
            return sorted(path for path in folder.iterdir() if path.name.endswith(".json"))
        except OSError as error:
            raise _unreadable(folder, error) from None

    def read(self, model: type[AnyModel], name: str) -> AnyModel:
        """Return a file of the folder."""
        path = self.folder / name
        try:
            data = read_file(path, MAX_FILE_BYTES)
        except FileNotFoundError:
            raise refuse(
                Code.RUN_MISSING, str(path), "missing", "name a run with benchmark_run_id, or measure first"
            ) from None
        except UnfitFileError as error:
            raise refuse(Code.FILE_SPOILT, one_line(path), str(error.strerror), _FROM_A_COPY) from None
        except OSError as error:
            raise _unreadable(path, error) from None
        try:
            return load(model, data, str(path))
        except ProblemError as error:
            raise refuse(Code.FILE_SPOILT, error.problem.subject, error.problem.what, _FROM_A_COPY) from None

    def look(self, pi: str, when: When, session: int = 1) -> HostLook | None:
        """Return what was seen of a Pi, None if it was not looked at."""
        name = look_file(pi, when, session)
        return self.read(HostLook, name) if self._has(name) else None

    def _state(self, pi: str, when: When, session: int) -> HostState | None:
        look = self.look(pi, when, session)
        return look.state if look else None

    def _write_one(self, name: str, content: Model | str | bytes) -> bool:
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise refuse(Code.MISTAKE_IN_THIS_PROGRAM, name, "not a path inside the run's folder")
        target, data = self.folder / relative, _as_bytes(content)
        with _named(target):
            if is_there(target) and self._holds(target, content, data):
                return False
            for folder in (self.folder.parent, *reversed([self.folder / each for each in relative.parents])):
                make_private_folder(folder)
            write_file(target, data)
        return True

    def _holds(self, target: Path, content: Model | str | bytes, data: bytes) -> bool:
        """Say whether a file holds this already; ProblemError if it is not one that may be replaced."""
        try:
            found = read_file(target, MAX_FILE_BYTES)
        except UnfitFileError as error:
            if error.errno != errno.EFBIG:
                raise _in_the_way(target, str(error.strerror)) from None
            found = b""
        if found == data:
            return True
        try:
            # Beside a plan of ours, what is called as one of a run's files is one.
            if self.has_plan or not isinstance(content, Model):
                self.plan()
            else:
                load(type(content), found, str(target))
        except ProblemError:
            raise _in_the_way(target, "there already, and not a run's") from None
        return False


def owners_in(runs: Path, namespace: str) -> tuple[str, ...]:
    """Return the uids of the ConfigMaps of a namespace that are known in a folder of runs.

    A folder that cannot be read proves nothing, and is no problem.
    """
    found: list[str] = []
    with contextlib.suppress(OSError):
        for folder in sorted(runs.iterdir()):
            with contextlib.suppress(ProblemError):
                found += () if folder.is_symlink() else RunStore(folder).owners(namespace)
    return tuple(dict.fromkeys(found))


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
    step = "make it yours" if isinstance(error, PermissionError) else _FROM_A_COPY
    return refuse(Code.FILE_UNREADABLE, one_line(path), f"cannot be read ({error.strerror})", step)


def _in_the_way(path: Path, what: str, other: str = "choose another benchmark_run_id") -> ProblemError:
    return refuse(Code.FILE_IN_THE_WAY, one_line(path), what, f"move it away, or {other}")


def _leads_to_a_run(link: Path) -> bool:
    """Say whether it is a link as link_as_latest makes it; the run may be gone."""
    if not link.is_symlink():
        return False
    name, folder = str(link.readlink()), link.parent / link.readlink()
    if re.match(RUN_ID, name) is None or name == link.name:
        return False
    try:
        return not is_there(folder) or RunStore(folder).has_plan
    except ProblemError:
        return False


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> ProblemError:
    """Return the error of a file that cannot be written."""
    return refuse(
        Code.FILE_NOT_WRITTEN,
        str(path),
        f"cannot be written ({error.strerror})",
        "make room there or give write permission; what was written before is whole",
    )
