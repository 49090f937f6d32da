"""`inventory`: hosts.yml from the cluster."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from pi_speedup.cli.output import Exit, say, write_file
from pi_speedup.cli.runs import PROJECT
from pi_speedup.codes import Code
from pi_speedup.problem import refuse

HELP = "write inventory/hosts.yml from the cluster"
DESCRIPTION = """\
Ask the cluster for its nodes and write the inventory: every node is a Pi, the control plane
is the group `server`, and its first node is also the Pi that is measured alone (`base`).
"""
EXAMPLES = """\
The kubeconfig is that of kubectl. Without one, take the K3s server's own:
  mkdir -p ~/.kube
  ssh pi@192.168.1.101 sudo cat /etc/rancher/k3s/k3s.yaml |
    sed s/127.0.0.1/192.168.1.101/ | install -m 600 /dev/stdin ~/.kube/config

examples:
  python -m pi_speedup inventory --output -
  python -m pi_speedup inventory --force --user ubuntu
  python -m pi_speedup inventory --kubeconfig ~/k3s.yaml --output inventory/lab.yml
"""
_USER = re.compile(r"[A-Za-z_][-.A-Za-z0-9_]{0,31}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
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
        default=PROJECT / "inventory/hosts.yml",
        help="where to write it; inventory/hosts.yml if not given, - for the standard output",
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def run(options: argparse.Namespace) -> int:
    """Write the inventory."""
    # The Kubernetes client takes a while to import: only here.
    from pi_speedup.kube.client import KubeClient
    from pi_speedup.kube.inventory import inventory_text

    output: Path = options.output
    to_screen = str(output) == "-"
    if not to_screen and output.exists() and not options.force:
        raise refuse(
            Code.FILE_IN_THE_WAY,
            str(output),
            "is there already",
            "--force replaces it; --output FILE or - writes elsewhere",
        )
    with KubeClient(_kubeconfig(options.kubeconfig)) as client:
        nodes, _ = client.list_all("/api/v1/nodes")
    text = inventory_text(nodes, options.user)
    if to_screen:
        print(text, end="")
        return Exit.EQUAL
    write_file(output, text, "--output")
    count = "1 Pi" if len(nodes) == 1 else f"{len(nodes)} Pis"
    say(f"{output}: {count}. Next: ansible-playbook -i {output} benchmark.yml")
    return Exit.EQUAL


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid user name")
    return text


def _kubeconfig(given: Path | None) -> Path:
    if given is not None:
        return given.expanduser()
    named = os.environ.get("KUBECONFIG", "")
    if ":" in named:
        raise refuse(
            Code.KUBECONFIG_SEVERAL, "$KUBECONFIG", "names several files", "name one with --kubeconfig FILE"
        )
    return Path(named) if named else Path.home() / ".kube/config"
