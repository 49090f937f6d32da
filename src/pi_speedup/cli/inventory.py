"""`inventory`: hosts.yml from the cluster."""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pi_speedup.cli.output import Exit, put_file, say
from pi_speedup.cli.runs import PROJECT
from pi_speedup.codes import Code
from pi_speedup.plan.opening import SAMPLE_ADDRESSES
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.remote import Remote
from pi_speedup.text import one_line

if TYPE_CHECKING:
    from pi_speedup.setup.inventory import Chosen

HELP = "write inventory/hosts.yml from the cluster"
DESCRIPTION = """\
Ask the cluster for its nodes and write the inventory. A node with a taint that keeps pods away is no
Pi of it; the control plane is the group `server`; one Pi, with Docker if one has it, is also measured
alone (`base`). It says what it chose and why.
"""
EXAMPLES = """\
With --server the kubeconfig is fetched as a benchmark does: over ssh and with sudo. Nothing is changed
there, and nothing is kept here but the inventory. Without it, it is that of kubectl.

examples:
  python -m pi_speedup inventory --server pi@192.168.1.101
  python -m pi_speedup inventory --server pi@192.168.1.101 -K --ssh-args "-J me@gateway"
  python -m pi_speedup inventory --output -
  python -m pi_speedup inventory --kubeconfig ~/k3s.yaml --output inventory/lab.yml
"""
_USER = re.compile(r"[A-Za-z_][-.A-Za-z0-9_]{0,31}")
_HOST = re.compile(r"[A-Za-z0-9_][-.:%A-Za-z0-9_]{0,252}")
_GIVE_ANOTHER = "--server pi@ADDRESS fetches that of the K3s server there; or name one with --kubeconfig FILE"
_USUAL = PROJECT / "inventory/hosts.yml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--server",
        type=_login,
        metavar="[USER@]ADDRESS",
        help="the Pi with the K3s server; you log in to it with ssh",
    )
    parser.add_argument(
        "-K", "--ask-become-pass", action="store_true", help="ask for the password that sudo wants there"
    )
    parser.add_argument(
        "--ssh-args", default="", metavar="WORDS", help="more for ssh, such as '-J me@gateway' or '-p 2222'"
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="how to reach the cluster; $KUBECONFIG or ~/.kube/config if not given",
    )
    parser.add_argument("--user", type=_user, default="pi", help="who logs in to the Pis; pi if not given")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        default=_USUAL,
        help="where to write it; inventory/hosts.yml if not given, - for the standard output",
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def run(options: argparse.Namespace) -> int:
    """Write the inventory."""
    # The Kubernetes client takes a while to import: only here.
    from pi_speedup.kube.access.client import KubeClient
    from pi_speedup.setup.inventory import choose, inventory_text

    output: Path = options.output
    to_screen = str(output) == "-"
    if not to_screen and os.path.lexists(output) and not options.force and not _is_sample(output):
        raise refuse(
            Code.FILE_IN_THE_WAY,
            str(output),
            "is there already",
            "--force replaces it; --output FILE or - writes elsewhere",
        )
    user, address = options.server or ("", "")
    user = user or options.user
    with (
        _steps_of_this_command(),
        _kubeconfig_of(options, user, address) as kubeconfig,
        KubeClient(kubeconfig) as client,
    ):
        nodes, _ = client.list_all("/api/v1/nodes")
    chosen = choose(nodes, address)
    candidates = [
        *(name for name in chosen.servers if name in chosen.ready),
        *(name for name in chosen.ready if name not in chosen.servers),
    ]
    base, runtime, why = (candidates or chosen.pis)[0], "", ["not asked whether it has Docker"]
    if options.server:
        base, runtime, why = _base(chosen, candidates, user, options.ssh_args)
    if runtime:
        chosen = dataclasses.replace(chosen, settings={**chosen.settings, "benchmark_base_runtime": runtime})
    text = inventory_text(chosen, base, user, options.ssh_args)
    if to_screen:
        print(text, end="")
        return Exit.EQUAL
    # One that is there is replaced by --force alone, or was the sample.
    put_file(output, text, "--output", lambda _: True)
    count = "1 Pi" if len(chosen.pis) == 1 else f"{len(chosen.pis)} Pis"
    say(f"{output}: {count}")
    say(f"  pis     {', '.join(chosen.pis)}: each takes pods")
    for name, problem in chosen.left_out.items():
        say(f"  not     {name}: {problem.what}")
    say(f"  base    {base}: {'; '.join(why)}")
    if chosen.servers:
        say(f"  server  {', '.join(chosen.servers)}: the first one's kubeconfig is fetched for each run")
    for problem in chosen.problems:
        say(f"  now     {problem}")
    say(f"Next: look at {output}; then {_benchmark(output, asks=options.ask_become_pass)}")
    return Exit.EQUAL


def _base(chosen: Chosen, candidates: list[str], user: str, ssh_arguments: str) -> tuple[str, str, list[str]]:
    """Return the Pi that works alone, its runtime where it is not Docker, and why it is this one."""
    from pi_speedup.pi.login import runtimes

    why: list[str] = []
    second = ""
    for name in candidates:
        try:
            found = runtimes(_remote(name, chosen.addresses.get(name) or name, user, ssh_arguments))
        except ProblemError as error:
            why.append(str(error))
            continue
        if found["docker"] is None:
            return name, "", ["it takes pods and has Docker", *why]
        why.append(found["docker"].cause)
        if found["podman"] is None:
            second = second or name
    if second:
        return second, "podman", ["it takes pods and has Podman", *why]
    first = (candidates or chosen.pis)[0]
    return first, "", ["the first, for none has Docker or Podman that this user may use", *why]


@contextmanager
def _steps_of_this_command() -> Iterator[None]:
    """Name this command's options where a step names a playbook's variable."""
    from pi_speedup.kube.access.kubeconfig import ANOTHER, FETCH_AGAIN

    try:
        yield
    except ProblemError as error:
        step = error.problem.next_step.replace(ANOTHER, _GIVE_ANOTHER).replace(FETCH_AGAIN, _GIVE_ANOTHER)
        raise ProblemError(error.problem.model_copy(update={"next_step": step})) from None


@contextmanager
def _kubeconfig_of(options: argparse.Namespace, user: str, address: str) -> Iterator[Path]:
    """Give the kubeconfig's path; one that is fetched is gone afterwards."""
    if not options.server:
        yield _kubeconfig(options.kubeconfig)
        return
    from pi_speedup.files import write_file
    from pi_speedup.kube.access.server import find_server_address, parse_server_kubeconfig
    from pi_speedup.pi.login import K3S_KUBECONFIG, login, read_kubeconfig

    remote = _remote(address, address, user, options.ssh_args)
    password = b""
    if options.ask_become_pass:
        password = getpass.getpass(f"sudo's password of {user} at {address}: ").encode() + b"\n"
    shell = login(remote, become=user != "root", asks=bool(password))
    read = read_kubeconfig(shell, remote, K3S_KUBECONFIG, password)
    kubeconfig = parse_server_kubeconfig(read, pi=address, path=K3S_KUBECONFIG)
    reached = find_server_address(kubeconfig, [address], pi=address)
    with tempfile.TemporaryDirectory(prefix="pi-speedup-") as folder:
        path = Path(folder) / "kubeconfig"
        write_file(path, kubeconfig.pointing_to(reached).encode())
        yield path


def _remote(pi: str, address: str, user: str, ssh_arguments: str) -> Remote:
    return Remote.of(
        pi, {"ansible_host": address, "ansible_user": user, "ansible_ssh_common_args": ssh_arguments}
    )


def _benchmark(output: Path, *, asks: bool) -> str:
    """Return the command that measures with this inventory, from where the user stands."""
    place = [] if Path.cwd() == PROJECT else ["-C", str(PROJECT)]
    usual = output.resolve() == _USUAL.resolve()
    words = [*(["-K"] if asks else []), *([] if usual else ["-i", str(output.resolve())])]
    given = [f"ARGS={shlex.join(words)}"] if words else []
    return shlex.join(["make", *place, "benchmark", *given])


def _is_sample(path: Path) -> bool:
    try:
        return any(address in path.read_text("utf-8", "replace") for address in SAMPLE_ADDRESSES)
    except OSError:
        return False


def _login(text: str) -> tuple[str, str]:
    user, at, address = text.rpartition("@")
    if (at and not _USER.fullmatch(user)) or not _HOST.fullmatch(address):
        raise argparse.ArgumentTypeError(f"{one_line(text, 80)!r} is not [USER@]ADDRESS")
    return user, address


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid user name")
    return text


def _kubeconfig(given: Path | None) -> Path:
    named = str(given.expanduser()) if given else os.environ.get("KUBECONFIG", "")
    if not given and ":" in named:
        raise refuse(
            Code.KUBECONFIG_SEVERAL, "$KUBECONFIG", "names several files", "name one with --kubeconfig FILE"
        )
    path = Path(named) if named else Path.home() / ".kube/config"
    if not path.exists():
        raise refuse(
            Code.KUBECONFIG_MISSING,
            f"kubeconfig {path}",
            "does not exist",
            _GIVE_ANOTHER,
        )
    return path
