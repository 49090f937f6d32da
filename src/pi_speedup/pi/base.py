"""The base case: the worker alone on one Pi, in a container or as a process, with nothing of it left."""

from __future__ import annotations

import contextlib
import re
import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pi_speedup.clock import boot_seconds
from pi_speedup.codes import Code
from pi_speedup.model.plan import Plan, Slot
from pi_speedup.model.settings import Settings
from pi_speedup.model.trial import ByHand, Measured, Milestones, Moment, Trial, Worker
from pi_speedup.model.worker import MAX_OUTPUT_BYTES, WorkerReport
from pi_speedup.pi.by_hand import base_by_hand
from pi_speedup.pi.runtime import (
    LABEL,
    NAMESPACE_LABEL,
    OWNER_LABEL,
    PULL_SECONDS,
    TIMED_OUT,
    Case,
    command,
    image_ids,
    inspect_problem,
    inspection,
    is_absent,
    pull_problem,
    python_problem,
    removal_problem,
    run_problem,
)
from pi_speedup.pi.shell import SECTION, Outcome, Shell, ShellOutcome, no_answer, sections
from pi_speedup.problem import Interrupted, ProblemError, refuse
from pi_speedup.text import one_line
from pi_speedup.workload import workload_of

# All that is done after Ctrl-C has to fit into 8 s.
_ENDING_SECONDS = 7.0
# So long after it was sent a command may still be on its way to the Pi.
_ON_ITS_WAY_SECONDS = 1.0
# The two clocks of a Pi, read one after the other, differ by less over a command, plus a thousandth for NTP's
# slewing (500 ppm at most).
_CLOCKS_DIFFER_SECONDS = 0.1
_UID = r"[-0-9A-Za-z]{8,64}"
_ID = r"^\([0-9a-f]\{12,64\}\) .*$"

# Before a script's own lines: `end_ours` ends what carries one of our marks, TERM first, and leaves its ids
# in $found. Of /proc/*/environ one can read those of one's own processes only. An empty $marks is found in
# every one of them. No script holds a whole mark: sshd puts the script itself into the environment of a
# command that authorized_keys forces, and that login's shell is none of ours.
_END_OURS = """
ours() { [ -z "$marks" ] || grep -lsF "$marks" /proc/[0-9]*/environ | tr -dc '0-9\\n'; }
end_ours() {
  found=$(ours)
  [ -n "$found" ] || return 0
  kill -TERM $found 2>/dev/null
  for tenth in 1 2 3 4 5 6 7 8 9 10; do
    [ -n "$(ours)" ] || return 0
    sleep 0.1
  done
  kill -KILL $(ours) 2>/dev/null
  return 0
}
"""

# The Pi times the command itself, by its clock and by the time since it was started, which nobody sets. What
# the command writes goes through `head`, so that no flood of it crosses the connection: beyond the limit it
# is ended, and what it wrote until then is read, for the shell, too, writes there how the command ended.
# Descriptor 3 leads into $times, 4 to the connection; the command has neither.
_RUN = """
exec 4>&1
printf '\\npi-speedup: output 0\\n'
times=$(
  {
    {
      read -r up rest </proc/uptime
      echo "begun $up $(date +%s%N)" >&3
      env "$mark=OWNER" COMMAND 2>&1 3>&- 4>&-
      rc=$?
      now=$(date +%s%N)
      read -r up rest </proc/uptime
      echo "ended $up $now $rc" >&3
    } | {
      head -c LIMIT >&4
      if [ "$(head -c 1 | wc -c)" -gt 0 ]; then
        echo flooded >&3
        end_ours
        cat >/dev/null
      fi
    }
  } 3>&1
)
printf '\\npi-speedup: times 0\\n%s\\n' "$times"
"""
_BEFORE_OUTPUT = b"\npi-speedup: output 0\n"
_BEFORE_TIMES = b"\npi-speedup: times 0\n"
_BEGUN = re.compile(rb"^begun (\d{1,8}\.\d{1,9}) (\S*)$", re.MULTILINE)
_ENDED = re.compile(rb"^ended (\d{1,8}\.\d{1,9}) (\S*) (\d{1,3})$", re.MULTILINE)
_FLOODED = re.compile(rb"^flooded$", re.MULTILINE)
_NANOSECONDS = re.compile(rb"\d{16,19}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a Pi has for base cases: all ids of the image (none for a process); and what was removed there."""

    image_ids: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed, and a line for each container that has our label and another's owner, and stays."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


def prepare(
    shell: Shell, pi: str, settings: Settings, owners: Sequence[str], tell: Callable[[str], None]
) -> Prepared:
    """Have the Pi ready for base cases: nothing of an earlier run on it, and the image there.

    owners: the uids of our ConfigMap, now and earlier; what belongs to none of them stays, and is told.
    One exchange with the Pi, two where the image has to be pulled, which is told. ProblemError if it can't
    be made ready.
    """
    runtime, image = settings.base_runtime, settings.image
    if runtime == "process":
        words = (*settings.base_command_prefix, *workload_of(settings).probe(settings))
        found = sections(
            pi,
            shell.run(_clearing(settings, owners) + _step("python", ("timeout", "60", *words)) + _END),
            "ended",
            "python",
        )
        if found["python"].rc != 0:
            raise ProblemError(python_problem(found["python"], pi=pi, settings=settings))
        return Prepared((), _cleaned(found, owners, pi, settings).removed)
    look = _step("image", ("timeout", "-k", "5", "60", *inspection(runtime, image)))
    found = sections(pi, shell.run(_clearing(settings, owners) + look + _END), "ended", "listed", "image")
    cleaned = _cleaned(found, owners, pi, settings)
    for line in cleaned.left:
        tell(line)
    inspected = found["image"]
    if is_absent(inspected):
        tell(f"{pi}: {runtime} pulls {image}")
        pull = _step("pull", ("timeout", "-k", "10", str(PULL_SECONDS), runtime, "pull", "--quiet", image))
        pulled = sections(pi, shell.run(SECTION + pull + look + _END), "pull", "image")
        if pulled["pull"].rc != 0:
            raise ProblemError(pull_problem(pulled["pull"], pi=pi, runtime=runtime, image=image))
        inspected = pulled["image"]
    ids = image_ids(inspected, image) if inspected.rc == 0 else None
    if ids is None:
        raise ProblemError(inspect_problem(inspected, pi=pi, runtime=runtime, image=image))
    return Prepared(ids, cleaned.removed)


def clean(shell: Shell, pi: str, settings: Settings, owners: Sequence[str]) -> Cleaned:
    """End and remove what base cases left on the Pi that belong to one of these owners, by uid.

    A Pi without the runtime, with its daemon down, or whose user may not use it, has nothing that could be
    removed. ProblemError if something is left.
    """
    needed = ("ended",) if settings.base_runtime == "process" else ("ended", "listed")
    found = sections(pi, shell.run(_clearing(settings, owners) + _END), *needed)
    return _cleaned(found, owners, pi, settings)


class BaseDriver:
    """Measures base cases on one Pi; see measure.loop.Driver.

    program: what workers run. image_ids: as prepare returns them. owner: the uid of our ConfigMap. tell:
    gets lines worth showing meanwhile.
    """

    def __init__(
        self,
        shell: Shell,
        pi: str,
        plan: Plan,
        program: str,
        image_ids: Sequence[str],
        owner: str,
        tell: Callable[[str], None],
    ) -> None:
        self._shell = shell
        self._pi = pi
        self._plan = plan
        self._program = program
        self._image_ids = tuple(image_ids)
        self._owner = owner
        self._tell = tell
        # Whether an earlier case may be left, since the Pi could not be told to end it.
        self._left = False

    def run(self, slot: Slot, attempt: int) -> Measured:
        """Measure one base case; a failure is a trial too. Interrupted once what was started has ended."""
        started, begun = Moment.now(), boot_seconds()
        case = Case(self._pi, self._plan, slot, attempt, self._owner)
        ran: Ran | None = None
        report: WorkerReport | None = None
        failure: ProblemError | None = None
        try:
            ran = self._run_there(case)
            report = self._report(case, ran)
        except ProblemError as error:
            failure = error
            self._end(None if ran else begun)
        except BaseException:
            self._end(begun)
            raise
        trial = Trial(
            run_id=self._plan.run_id,
            plan_sha256=self._plan.sha256,
            slot=slot,
            attempt=attempt,
            started=started,
            spent_seconds=boot_seconds() - begun,
            wall_seconds=ran.seconds if ran is not None and report is not None else None,
            outcome="ok" if failure is None else "failed",
            problem=failure.problem if failure is not None else None,
            passes_by_itself=failure is not None and failure.passes_by_itself,
            workers=(self._worker(case, ran, report),),
        )
        if ran is None:
            return Measured(trial)
        by_hand = ByHand(".sh", lambda: base_by_hand(case, self._written(case)))
        return Measured(trial, {case.name: ran.output}, by_hand)

    def _run_there(self, case: Case) -> Ran:
        settings = self._plan.settings
        script = _RUN.replace("LIMIT", str(MAX_OUTPUT_BYTES)).replace("OWNER", self._owner)
        script = script.replace("COMMAND", shlex.join(command(case)))
        # What may be left of the case before would share the Pi with this one.
        owners = (self._owner,)
        before = _clearing(settings, owners) if self._left else _preamble(owners)
        outcome = self._shell.run(before + script, self._written(case).encode())
        ran = read_run(self._pi, outcome)
        self._left = False
        return ran

    def _written(self, case: Case) -> str:
        return workload_of(self._plan.settings).base_input(case.told, self._program)

    def _report(self, case: Case, ran: Ran) -> WorkerReport:
        """Return the worker's report; ProblemError for a failed command, or a report of something else."""
        settings = self._plan.settings
        if ran.flooded:
            raise refuse(
                Code.RESULT_DAMAGED,
                self._pi,
                f"the base case wrote more than {MAX_OUTPUT_BYTES} bytes, which the worker never does",
                "read its log in the run's folder, and see what benchmark_image holds",
            )
        if ran.rc != 0:
            said = Outcome(ran.rc, ran.output.decode("utf-8", "replace"))
            log = f"logs/{case.slot.attempt(case.attempt)}/{case.name}.log"
            raise ProblemError(
                run_problem(said, pi=self._pi, settings=settings, seconds=ran.seconds, log=log)
            )
        workload = workload_of(settings)
        report = workload.read(ran.output, self._pi)
        if misfit := workload.misfit(report, self._plan, case.slot, case.attempt, pi=self._pi, index=None):
            raise refuse(
                Code.RESULT_OF_OTHER_TRIAL,
                self._pi,
                f"its result is of another trial ({misfit})",
                "see what benchmark_image, benchmark_base_python and the prefix run there",
            )
        return report

    def _worker(self, case: Case, ran: Ran | None, report: WorkerReport | None) -> Worker:
        settings = self._plan.settings
        runtime = settings.base_runtime
        in_container = runtime != "process"
        return Worker(
            pi=self._pi,
            name=case.name,
            runtime=runtime,
            image=settings.image if in_container else None,
            image_ids=self._image_ids if in_container else (),
            cpu_limit_cores=case.cell.cpu_limit_cores(settings) if in_container else None,
            milestones=Milestones(
                created=0.0,
                started=ran.since_begun(report.start_epoch_ns) if ran and report else None,
                finished=ran.since_begun(report.end_epoch_ns) if ran and report else None,
            ),
            report=report,
        )

    def _end(self, sent: float | None) -> None:
        """End a case that may still run, within seconds; where the Pi does not hear it, the next one will.

        sent: when its command was sent, in boot_seconds, if it may not have reached the Pi yet.
        """
        settings = self._plan.settings
        script = _preamble((self._owner,))
        if sent is not None and (pause := sent + _ON_ITS_WAY_SECONDS - boot_seconds()) > 0:
            script += f"sleep {pause:.1f}\n"
        script += "end_ours\n"
        if settings.base_runtime != "process":
            runtime, ours = settings.base_runtime, f"label={OWNER_LABEL}={self._owner}"
            script += (
                f"ids=$(timeout -k 1 2 {runtime} ps --all --quiet --filter={ours} 2>/dev/null </dev/null)\n"
                '[ -z "$ids" ] || '
                f"timeout -k 1 4 {runtime} rm --force --volumes $ids >/dev/null 2>&1 </dev/null\n"
            )
        told, self._left = self._left, True
        heard = _within(_ENDING_SECONDS, lambda: sections(self._pi, self._shell.run(script + _END)))
        self._left = not heard
        if not heard and not told:
            limit = settings.timeout_seconds
            self._tell(
                f"{self._pi} could not be told to end the base case; it ends within {limit} s by itself"
            )


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ran on a Pi: exit code, output (its beginning where it flooded), duration.

    begun_epoch_ns: when it began by the Pi's clock; None where that does not tell, or was set meanwhile.
    """

    rc: int
    output: bytes
    flooded: bool
    seconds: float
    begun_epoch_ns: int | None

    def since_begun(self, epoch_ns: int) -> float | None:
        """Return a moment of that clock in seconds after the begin; None where it is not while it ran."""
        if self.begun_epoch_ns is None:
            return None
        seconds = (epoch_ns - self.begun_epoch_ns) / 1e9
        return seconds if 0 <= seconds <= self.seconds else None


def read_run(pi: str, outcome: ShellOutcome) -> Ran:
    """Return what a run's script told; ProblemError where it did not come to its end."""
    output, _, after = outcome.output.partition(_BEFORE_OUTPUT)[2].rpartition(_BEFORE_TIMES)
    begun, ended = _BEGUN.search(after), _ENDED.search(after)
    if begun is None or ended is None:
        raise no_answer(pi, outcome)
    begun_date, ended_date = begun[2], ended[2]
    seconds, begun_ns = float(ended[1]) - float(begun[1]), None
    # busybox' date knows no nanoseconds. Hundredths, by the time since the start, are what is left then.
    if _NANOSECONDS.fullmatch(begun_date) and _NANOSECONDS.fullmatch(ended_date):
        by_date = (int(ended_date) - int(begun_date)) / 1e9
        if abs(by_date - seconds) <= _CLOCKS_DIFFER_SECONDS + seconds / 1000:
            seconds, begun_ns = by_date, int(begun_date)
    return Ran(int(ended[3]), output, _FLOODED.search(after) is not None, max(seconds, 0.001), begun_ns)


_END = "section end 0\n"
_MARK = "PI_SPEEDUP_BASE"


def _mark(owner: str) -> str:
    """Return the environment entry by which each process of an owner's base cases is found again."""
    return f"{_MARK}={owner}"


def _preamble(owners: Sequence[str]) -> str:
    uids = " ".join(map(shlex.quote, _known(owners)))
    marks = f'mark={_MARK}\nmarks=$(for uid in {uids}; do echo "$mark=$uid"; done)'
    return f"{marks}{_END_OURS}{SECTION}"


def _known(owners: Sequence[str]) -> list[str]:
    """Return the uids that can be told from all others: an empty one would be everybody's."""
    return [owner for owner in owners if re.fullmatch(_UID, owner)]


def _step(name: str, words: Sequence[str]) -> str:
    """Return the lines of a script that run a command and tell its outcome in a section of that name."""
    return f'said=$({shlex.join(words)} 2>&1 </dev/null)\nsection {name} $? "$said"\n'


def _clearing(settings: Settings, owners: Sequence[str]) -> str:
    """Return the lines of a script that end and remove what base cases of these owners left."""
    script = _preamble(owners) + 'end_ours\nsection ended 0 "$found"\n'
    runtime = settings.base_runtime
    if runtime == "process":
        return script
    listing = (runtime, "ps", "--all", f"--filter=label={LABEL}", "--format", "{{.ID}} {{.Names}}")
    labels = " ".join(f'{{{{index .Config.Labels "{label}"}}}}' for label in (OWNER_LABEL, NAMESPACE_LABEL))
    looking = shlex.join((runtime, "container", "inspect", "--format", f"{{{{.Id}}}} {{{{.Name}}}} {labels}"))
    ours = shlex.join(
        word for uid in _known(owners) for word in ("-e", rf"s/^\([0-9a-f]\{{12,64\}}\) [^ ]* {uid} .*$/\1/p")
    )
    return (
        script
        + _step("listed", ("timeout", "-k", "5", "60", *listing))
        + f"ids=$(printf '%s\\n' \"$said\" | sed -n 's/{_ID}/\\1/p')\n"
        + 'if [ -n "$ids" ]; then\n'
        # One that has gone by now is a complaint among the others' lines.
        + f"said=$(timeout -k 5 60 {looking} $ids 2>/dev/null </dev/null)\n"
        + 'section owned $? "$said"\n'
        + f"ids=$(printf '%s\\n' \"$said\" | sed -n -e '' {ours})\n"
        + 'if [ -n "$ids" ]; then\n'
        + f"said=$(timeout -k 5 60 {runtime} rm --force --volumes $ids 2>&1 </dev/null)\n"
        + 'section removed $? "$said"\nfi\nfi\n'
    )


def _cleaned(found: dict[str, Outcome], owners: Sequence[str], pi: str, settings: Settings) -> Cleaned:
    """Return what a script of `_clearing` did; ProblemError where something of ours may be left."""
    runtime, known = settings.base_runtime, _known(owners)
    processes = [f"process {number}" for number in found["ended"].said.split()]
    if runtime == "process":
        return Cleaned(tuple(processes), ())
    owned = found.get("owned", Outcome(0, ""))
    there = re.findall(r"^([0-9a-f]{12,64}) /?(\S+)(?: (\S*))?(?: (\S*))?$", owned.said, re.MULTILINE)
    ours = [each for each in there if each[2] in known]
    listed = owned if owned.rc == TIMED_OUT else found["listed"]
    ids = [number for number, *_ in ours]
    problem = removal_problem(listed, found.get("removed"), ids, pi=pi, runtime=runtime)
    if problem is not None:
        raise ProblemError(problem)
    removed = [f"container {name}" for _, name, *_ in ours] if "removed" in found else []
    return Cleaned(
        (*processes, *removed),
        tuple(
            f"{pi}: container {one_line(name, 100)} has our label and another owner"
            f"{f', in namespace {one_line(namespace, 63)}' if namespace else ''}: it stays. "
            f"If nobody measures there: ssh {pi} {runtime} rm --force {number[:12]}"
            for number, name, owner, namespace in there
            if owner not in known
        ),
    )


def _within(seconds: float, action: Callable[[], object]) -> bool:
    """Do something for so many seconds at most; say whether it went well. Interrupted only after it."""
    over, went_well = threading.Event(), threading.Event()

    def do() -> None:
        try:
            with contextlib.suppress(Exception):
                action()
                went_well.set()
        finally:
            over.set()

    interrupted: BaseException | None = None
    deadline = boot_seconds() + seconds
    thread = threading.Thread(target=do, daemon=True)
    try:
        thread.start()
    except (Interrupted, KeyboardInterrupt) as error:
        interrupted = error
    while not over.is_set() and (left := deadline - boot_seconds()) > 0:
        try:
            over.wait(left)
        except (Interrupted, KeyboardInterrupt) as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted
    return went_well.is_set()
