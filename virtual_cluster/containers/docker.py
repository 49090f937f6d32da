"""The docker command line, with errors of one line."""

from __future__ import annotations

import os
import subprocess

from virtual_cluster.errors import LabError, last_line

# Nothing here but a build or a pull takes long; those give a limit of their own.
_TIMEOUT_SECONDS = 60.0


def docker(
    *words: str, timeout_seconds: float = _TIMEOUT_SECONDS, environment: dict[str, str] | None = None
) -> str:
    """Standard output of a docker command; LabError with docker's own words if it fails."""
    outcome = attempt(*words, timeout_seconds=timeout_seconds, environment=environment)
    if outcome.returncode != 0:
        raise LabError(f"docker {words[0]} failed: {last_line(outcome.stderr or outcome.stdout)}")
    return outcome.stdout


def attempt(
    *words: str, timeout_seconds: float = _TIMEOUT_SECONDS, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The outcome of a docker command, good or bad; LabError only if it cannot be run or takes too long."""
    try:
        return subprocess.run(
            ["docker", *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError("there is no docker here. Next: apt-get install docker.io") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"docker {words[0]} did not end within {timeout_seconds:.0f} s") from error


def require_daemon() -> None:
    """LabError unless a Docker daemon answers."""
    outcome = attempt("version", "--format", "{{.Server.Version}}")
    if outcome.returncode != 0:
        raise LabError(
            f"no Docker daemon answers: {last_line(outcome.stderr)}. Next: start it (systemctl start "
            "docker, or dockerd where there is no systemd), as root or as a member of the group docker"
        )
