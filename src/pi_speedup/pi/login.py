"""A person's own ssh to a Pi, and what is read there before there is an inventory."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping

from pi_speedup.codes import Code
from pi_speedup.pi.runtime import runtime_problem
from pi_speedup.pi.shell import SECTION, ConnectionShell, Outcome, sections
from pi_speedup.pi.ssh import connection_error, last_words, other_problem
from pi_speedup.problem import Problem, ProblemError, refuse
from pi_speedup.remote import Remote

K3S_KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
# The questions whose answers runtime_problem reads.
_RUNTIMES = {
    "docker": "docker version --format '{{.Server.Version}}'",
    "podman": "podman info --format json",
}
_CONNECT_SECONDS = 10
# What ssh itself ends with where there is no connection.
_SSH_FAILED = 255


class _Broken(Exception):
    """There was no connection; the text is ssh's."""


class _Ssh:
    """Runs commands through ssh, which asks at the terminal: for a passphrase, about a host key."""

    def __init__(self, remote: Remote) -> None:
        program, *words = shlex.split(remote.ssh)
        self._argv = [program, "-o", f"ConnectTimeout={_CONNECT_SECONDS}", *words]

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int | None, bytes, bytes]:
        try:
            done = subprocess.run([*self._argv, cmd], input=in_data, capture_output=True, check=False)
        except OSError as error:
            raise _Broken(f"ssh cannot be started here: {error.strerror}") from None
        if done.returncode == _SSH_FAILED:
            raise _Broken(done.stderr.decode("utf-8", "replace"))
        return done.returncode, done.stdout, done.stderr


def login(remote: Remote, *, become: bool = False, asks: bool = False) -> ConnectionShell:
    """Return a Pi's shell over ssh: with `become` root's, where sudo reads a password if it `asks`."""

    def broken(error: Exception) -> ProblemError | None:
        return connection_error(remote, str(error)) if isinstance(error, _Broken) else None

    def refused(said: str) -> Problem | None:
        return other_problem(remote, said) if said.strip() else None

    sudo = "sudo -S -p ''" if asks else "sudo -n"
    return ConnectionShell(
        _Ssh(remote),
        broken,
        become=(lambda script: f"{sudo} /bin/sh -c {shlex.quote(script)}") if become else None,
        refused=refused,
    )


def read_kubeconfig(shell: ConnectionShell, remote: Remote, source: str, stdin: bytes = b"") -> str:
    """Return the K3s server's kubeconfig; ProblemError without anything of it."""
    # Among marks of ours: a login's shell, sudo or a terminal may say something before and after.
    script = f'said=$(cat {shlex.quote(source)} 2>&1); section kubeconfig $? "$said"; section end 0 ""\n'
    found = sections(remote.pi, shell.run(SECTION + script, stdin), "kubeconfig")["kubeconfig"]
    if found.rc == 0:
        return found.said
    # Not all of what cat said, in which there may be a part of the key.
    said = last_words("\n".join(line for line in found.said.splitlines() if line.startswith("cat: ")))
    if "No such file" in said:
        raise refuse(
            Code.K3S_SERVER_NOT_THERE,
            remote.pi,
            f"there is no {source}, so no K3s server runs there",
            "name the Pi with the K3s server (the inventory's group `server`, or --server), or give "
            "benchmark_kubeconfig",
        )
    raise refuse(
        Code.KUBECONFIG_UNREADABLE,
        remote.pi,
        f"{source} cannot be read there ({said})",
        f"{remote.ssh} sudo cat {source} > /dev/null, which shows what is in the way",
    )


def runtimes(remote: Remote) -> Mapping[str, Problem | None]:
    """Return why this user can use Docker, and Podman, on a Pi or not; ProblemError if it is not reached."""
    asked = "".join(
        f'said=$({question} 2>&1); section {name} $? "$said"\n' for name, question in _RUNTIMES.items()
    )
    # Not on the PATH of a plain login on older systems.
    script = f"{SECTION}PATH=$PATH:/usr/local/bin:/usr/bin:/bin\n{asked}section end 0 ''\n"
    found = sections(remote.pi, login(remote).run(script), *_RUNTIMES)
    return {
        name: runtime_problem(Outcome(found[name].rc, found[name].said), pi=remote.pi, runtime=name)
        for name in _RUNTIMES
    }
