"""The command line: `python -m virtual_cluster` here, `python /path/to/virtual_cluster` anywhere."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__" and not __package__:
    # Run by its path: Python put this folder first, where our modules' names could hide others'.
    _package = Path(__file__).resolve().parent
    sys.path[:] = [str(_package.parent), *(entry for entry in sys.path if entry != str(_package))]

from virtual_cluster import budget_exec, pis
from virtual_cluster.errors import LabError
from virtual_cluster.folder import LabFolder

if TYPE_CHECKING:
    from virtual_cluster import lab
    from virtual_cluster.progress import Progress

# Each takes some 600 MiB of memory (measured), the first one a GiB.
_MOST_CONTAINERS = 20
_EXEC_FAILED = 125  # as in docker run: not the command's own failure
_NOT_WELL = 3  # as in systemctl status: it does not run, or not all of it


def default_dir(environment: Mapping[str, str]) -> Path:
    """A folder per user: commands find the lab from any directory, and no secret lies in a clone."""
    base = environment.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local/state") / "pi-speedup/lab"


def _pi_count(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        count = int(text)
        if not 1 <= count <= most:
            raise argparse.ArgumentTypeError(f"must be 1 to {most}, not {count}")
        return count

    return parse


def _cpus(text: str) -> float:
    cpus = float(text)
    if not 0.01 <= cpus <= 1024:
        raise argparse.ArgumentTypeError(f"must be 0.01 to 1024 cores, not {text}")
    return cpus


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    main_parser = argparse.ArgumentParser(
        prog="python -m virtual_cluster",
        description="Real Kubernetes with virtual Pis, as ordinary processes of yours.",
    )
    commands = main_parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument(
            "--dir",
            type=Path,
            default=default_dir(os.environ),
            help="folder of the lab's state (default: %(default)s)",
        )
        return added

    up = command("up", "start a lab and wait until its Pis are Ready")
    up.add_argument(
        "--pis", type=_pi_count(pis.MAXIMUM), default=3, help="how many virtual Pis (default: %(default)s)"
    )
    up.add_argument("--cpus", type=_cpus, default=0.5, help="cores of each (default: %(default)s)")
    up.add_argument(
        "--architecture", default="arm64", help="what their nodes claim to be (default: %(default)s)"
    )
    status = command("status", "show processes and Pis; exit code 3 unless all is well")
    status.add_argument("--json", action="store_true", help="for programs")
    command("down", "stop the lab and remove its state")
    run = command(
        "exec", "run a command under the CPU budget of a Pi; its exit code is ours, 125 is our own failure"
    )
    run.add_argument("pi", metavar="PI", help="pi-1, pi-2, …")
    run.add_argument("words", metavar="-- COMMAND", nargs="+", help="the command and its arguments")
    kubectl = command("kubectl", "run the lab's kubectl as administrator")
    kubectl.add_argument("words", metavar="-- ARGUMENTS", nargs="*", help="arguments for kubectl")
    commands.add_parser("build", help="build the Kubernetes binary if need be and print its path")
    _add_containers(commands)
    return main_parser


def _add_containers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Pis one can log in to: containers with sshd, kubelet, containerd and Docker (needs Docker and root)"
    )
    containers = commands.add_parser("containers", help=text, description=text)
    actions = containers.add_subparsers(dest="action", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text)
        added.add_argument(
            "--dir",
            type=Path,
            default=default_dir(os.environ).with_name("containers"),
            help="folder of inventory and keys (default: %(default)s)",
        )
        return added

    up = action("up", "start the Pis and wait until they are Ready")
    up.add_argument(
        "--pis", type=_pi_count(_MOST_CONTAINERS), default=3, help="how many Pis (default: %(default)s)"
    )
    up.add_argument("--cpus", type=_cpus, default=0.5, help="cores of each (default: %(default)s)")
    up.add_argument("--base", metavar="IMAGE", help="a Debian bookworm to build on, instead of the usual one")
    action("status", "show containers and Pis; exit code 3 unless all is well")
    action("down", "remove containers, network and files")
    kubectl = action("kubectl", "run kubectl as administrator")
    kubectl.add_argument("words", metavar="-- ARGUMENTS", nargs="*", help="arguments for kubectl")


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    ours, theirs = split_at_dashes(arguments)
    options = parser().parse_args([*ours, *(["--", *theirs] if theirs else [])])
    try:
        if sys.platform != "linux":
            raise LabError(
                "the lab needs Linux, which keeps its processes together. Next: use a Linux machine"
            )
        return _run(options)
    except LabError as error:
        print(f"Error: {' '.join(str(error).split())}", file=sys.stderr)
        return _EXEC_FAILED if options.command == "exec" else 1


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first `--`."""
    if "--" not in arguments:
        return arguments, []
    index = arguments.index("--")
    return arguments[:index], arguments[index + 1 :]


def _run(options: argparse.Namespace) -> int:
    if options.command == "exec":
        return budget_exec.run(_folder(options), options.pi, options.words)
    # Later than exec, whose start-up time counts in what it measures.
    from virtual_cluster import lab
    from virtual_cluster.binary import find_components
    from virtual_cluster.progress import Progress

    progress = Progress()
    try:
        match options.command:
            case "up":
                request = lab.Request(options.pis, options.cpus, options.architecture)
                lab.up(_folder(options), request, progress)
            case "down":
                folder = _folder(options)
                print(f"Stopped the lab in {folder.path}" if lab.down(folder) else f"No lab in {folder.path}")
            case "status":
                return _print_status(lab.status(_folder(options)), options.json)
            case "kubectl":
                lab.kubectl(_folder(options), options.words)
            case "containers":
                return _run_containers(options, progress)
            case "build":
                print(find_components(progress).commands["kube-apiserver"][0])
    except KeyboardInterrupt:
        progress.step("Interrupted; nothing was left running")
        return 130
    finally:
        progress.close()
    return 0


def _run_containers(options: argparse.Namespace, progress: Progress) -> int:
    from virtual_cluster.containers import cluster

    path: Path = options.dir
    ours = cluster.Cluster(path.expanduser().absolute())
    match options.action:
        case "up":
            request = cluster.Request(options.pis, options.cpus, options.base)
            cluster.up(ours, request, progress)
        case "down":
            print(f"Removed the Pis of {ours.path}" if cluster.down(ours) else f"No Pis of {ours.path}")
        case "kubectl":
            cluster.kubectl(ours, options.words, progress)
        case "status":
            found = cluster.status(ours)
            print(cluster.render_status(found))
            return 0 if found.well else _NOT_WELL
    return 0


def _folder(options: argparse.Namespace) -> LabFolder:
    path: Path = options.dir
    return LabFolder(path.expanduser().absolute())


def _print_status(status: lab.Status, as_json: bool) -> int:
    if as_json:
        print(json.dumps(asdict(status), indent=1))
    else:
        print(f"{status.state}: {status.dir}" + (f" ({status.server})" if status.server else ""))
        for name, component in status.components.items():
            ended = "ended" if component.exit_code is None else f"ended with exit code {component.exit_code}"
            print(f"  {name:<24} {f'pid {component.pid}' if component.running else ended}")
        ready = sum(status.pis.values())
        if status.pis:
            print(f"  virtual Pis Ready        {ready} of {len(status.pis)}")
    return 0 if status.state == "ready" else _NOT_WELL


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
