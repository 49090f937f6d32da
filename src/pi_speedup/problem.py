"""What went wrong, as data: who or what it is about, what is wrong, what to do next."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pi_speedup.codes import Code
from pi_speedup.text import one_line


class Problem(BaseModel):
    """One problem. `subject` is a Pi, a pod, a setting, a file; `next_step` what the user does, or empty.

    As text it is one line: `pi-2: cordoned (unschedulable) [PS-302]. Next: kubectl uncordon pi-2`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    subject: str
    what: str
    next_step: str = ""

    @property
    def shown(self) -> Problem:
        """The same in harmless lines, whatever it holds: none of a log's megabytes."""
        return Problem(
            code=self.code,
            subject=one_line(self.subject, 300),
            what=one_line(self.what, 1000),
            next_step=one_line(self.next_step, 600),
        )

    @property
    def cause(self) -> str:
        """Whom it is about and what is wrong, for a sentence: without code and what to do next."""
        shown = self.shown
        return f"{shown.subject}: {shown.what.rstrip('.')}"

    def __str__(self) -> str:
        line = f"{self.cause} [{self.code}]"
        return f"{line}. Next: {self.shown.next_step}" if self.next_step else line


class ProblemError(Exception):
    """The one error of this package that users see; its text is the problem's line.

    `passes_by_itself` says that the same attempt may go well a moment later: the API was away, a pod was
    evicted, a connection broke.
    """

    def __init__(self, problem: Problem, *, passes_by_itself: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.passes_by_itself = passes_by_itself

    def __str__(self) -> str:
        return str(self.problem)


def refuse(code: Code, subject: str, what: str, next_step: str = "") -> ProblemError:
    """Return the error of a problem that does not pass by itself, to be raised."""
    return ProblemError(Problem(code=code, subject=subject, what=what, next_step=next_step))


class Interrupted(BaseException):
    """The run shall end now: Ctrl-C, a signal, or the process that started it is gone.

    Not an Exception, so that nothing takes it for a failure. Whoever started something ends it, within
    seconds, and raises it on.
    """

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by
