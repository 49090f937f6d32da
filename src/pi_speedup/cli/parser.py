"""The command line as a whole: which command, and how each kind of end becomes an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from pi_speedup import __version__
from pi_speedup.cli import compare, history, inventory
from pi_speedup.cli.output import Exit
from pi_speedup.codes import Code
from pi_speedup.problem import ProblemError, refuse

PROGRAM = "python -m pi_speedup"
# What a shell reports of a program that SIGINT or SIGPIPE ended.
_INTERRUPTED, _NOBODY_READS = 130, 141
_COMMANDS = {"history": history, "compare": compare, "inventory": inventory}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by who started this. Left so, the next file to be opened would take its place.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        # A terminal or pipe that takes ASCII only gets escapes instead of a traceback.
        getattr(sys, name).reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except ProblemError as error:
        return _tell(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Such as `| head`.
        _give_up(sys.stdout)
        return _NOBODY_READS
    except OSError as error:
        if error.filename is not None:
            raise
        _give_up(sys.stdout)
        what = f"cannot be written ({error.strerror})"
        return _tell(refuse(Code.FILE_NOT_WRITTEN, "standard output", what, "make room where it goes to"))


def _tell(error: ProblemError) -> int:
    try:
        print(error, file=sys.stderr, flush=True)
    except OSError:
        _give_up(sys.stderr)
    return Exit.PROBLEM


def _give_up(stream: TextIO) -> None:
    """Let what is left of a stream go nowhere: Python would try to write it at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="How much faster are N Raspberry Pis with K3s than one? Measure with "
        "`ansible-playbook benchmark.yml`; these commands look at what was measured.",
        epilog=f"`{PROGRAM} COMMAND --help` has examples. docs/commands.md describes all of it.",
    )
    parser.add_argument("--version", action="version", version=f"pi-speedup {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in _COMMANDS.items():
        added = commands.add_parser(
            name,
            help=command.HELP,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_options(added)
        added.set_defaults(run=command.run)
    return parser
