"""`python -m virtual_cluster.virtual_pi --config FILE`: play all virtual Pis until SIGTERM or SIGINT."""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from .api import ApiError
from .config import Config, load_config
from .container import namespaces_problem
from .pis import VirtualPis

_UNBOXED = (
    "virtual Pis: no namespaces on this host ({problem}); pods run without their own file system and users, "
    "and their Nodes say so. Next: as root, sysctl kernel.apparmor_restrict_unprivileged_userns=0 "
    "user.max_user_namespaces=10000, or a seccomp profile that allows them; then start the lab again"
)


async def _serve(config: Config) -> None:
    problem = await namespaces_problem(config.dir)
    if problem:
        print(_UNBOXED.format(problem=problem), file=sys.stderr)
    await VirtualPis(config, namespaces=problem is None).serve()


async def _run(config: Config) -> None:
    serving = asyncio.create_task(_serve(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main() -> int:
    """Exit code 0 after a signal, 1 when it cannot serve, 2 for an unusable configuration."""
    parser = argparse.ArgumentParser(prog="virtual_cluster.virtual_pi", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    try:
        config = load_config(parser.parse_args().config)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        asyncio.run(_run(config))
    except (ApiError, OSError) as error:
        print(f"virtual Pis: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
