"""The command line as a whole: which command, and how each kind of end becomes an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from pi_speedup import __version__
from pi_speedup.cli import compare, history, inventory
from pi_speedup.cli.output import Exit
from pi_speedup.problem import ProblemError

PROGRAM = "python -m pi_speedup"
# What a shell reports of a program that SIGINT or SIGPIPE ended.
_INTERRUPTED, _NOBODY_READS = 130, 141
_COMMANDS = {"history": history, "compare": compare, "inventory": inventory}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    # A terminal or pipe that takes ASCII only gets escapes instead of a traceback.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except ProblemError as error:
        print(error, file=sys.stderr)
        return Exit.PROBLEM
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Such as `| head`. Python would try to flush once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS


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
