"""This machine as the Pi that works alone: scripts really run, and `docker` is a small program of ours."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pi_speedup.pi.shell import ShellOutcome

# Keeps each container as a file with its id, name and process id; `says` holds [rc, words] of a command that
# shall fail. What it starts has a session and an environment of its own, as a daemon's containers do.
_DOCKER = """
import json, os, signal, subprocess, sys, time
from pathlib import Path

folder = Path(__file__).parent
words = sys.argv[1:]
verb = "inspect" if words[:2] == ["image", "inspect"] else words[0]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
says = json.loads((folder / "says").read_text())
if verb in says:
    rc, text = says[verb].pop(0) if isinstance(says[verb][0], list) else says[verb]
    if [] in says.values():
        says = {name: value for name, value in says.items() if value}
    (folder / "says").write_text(json.dumps(says))
    print(text, file=sys.stderr)
    sys.exit(rc)
containers = folder / "containers"
if verb == "run":
    name = next(word for word in words if word.startswith("--name=")).removeprefix("--name=")
    arguments = words[words.index("python:3.9") + 1:]
    container = subprocess.Popen(
        [sys.executable, *arguments], env={"PATH": os.environ["PATH"]}, start_new_session=True
    )
    file = containers / name
    labels = [word.removeprefix("--label=") for word in words if word.startswith("--label=")]
    about = {"id": f"{container.pid:012x}", "pid": container.pid, "labels": labels}
    file.write_text(json.dumps(about))
    signal.signal(signal.SIGTERM, lambda *_: container.send_signal(signal.SIGTERM))
    rc = container.wait()
    file.unlink(missing_ok=True)
    sys.exit(rc if rc >= 0 else 128 - rc)
found = {path.name: json.loads(path.read_text()) for path in containers.iterdir()}
if verb == "ps":
    wanted = {word.removeprefix("--filter=label=") for word in words if word.startswith("--filter=label=")}
    for name, container in found.items():
        if wanted <= set(container["labels"]):
            print(container["id"], *([] if "--quiet" in words else [name]))
elif verb == "container":
    for name, container in found.items():
        if container["id"] in words:
            labels = dict(label.split("=", 1) for label in container["labels"])
            asked = [part.split('"')[1] for part in words[words.index("--format") + 1].split("{{index")[1:]]
            print(container["id"], f"/{name}", *(labels.get(label, "") for label in asked))
elif verb == "rm":
    for name, container in found.items():
        if name in words or container["id"] in words:
            try:
                os.kill(container["pid"], signal.SIGKILL)
            except ProcessLookupError:
                pass
            (containers / name).unlink(missing_ok=True)
elif verb == "inspect":
    print(json.dumps([{"Id": "sha256:1", "RepoDigests": ["python@sha256:2"]}], indent=4))
"""


@functools.cache
def _without_runtimes() -> str:
    """Return a folder with links to all programs of this machine but its container runtimes.

    So that a Pi without podman is one on every machine that runs the tests.
    """
    folder = Path(tempfile.mkdtemp(prefix="pi-speedup-programs."))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for place in (Path(sys.executable).parent, *map(Path, os.get_exec_path())):
        for program in place.iterdir() if place.is_dir() else ():
            link = folder / program.name
            if program.name not in ("docker", "podman") and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


@dataclass
class LocalShell:
    """A Shell that runs scripts here, with what is in `bin` before all other programs."""

    folder: Path
    ran: list[str] = field(default_factory=list)
    # Called once a script was started; what it raises interrupts the wait for the script's end.
    meanwhile: Callable[[], None] | None = None

    def run(self, command: str, stdin: bytes = b"") -> ShellOutcome:
        """Run the script, or leave it alone where `meanwhile` interrupts."""
        self.ran.append(command)
        path = f"{self.folder}:{_without_runtimes()}"
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # The script too, as sshd has it where a login's command is forced.
            env={"PATH": path, "LC_ALL": "C", "SSH_ORIGINAL_COMMAND": command},
            start_new_session=True,
        )
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            try:
                meanwhile()
            finally:
                for stream in (process.stdout, process.stderr):
                    assert stream is not None
                    stream.close()
        output, errors = process.communicate(stdin)
        return ShellOutcome(process.returncode, output, errors)


class FakeDocker:
    """A folder with a program `docker`, and what it is to say and has been told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "containers").mkdir(parents=True)
        self.says({})
        program = folder / "docker"
        program.write_text(f"#!{sys.executable}\n{_DOCKER}")
        program.chmod(0o755)

    def says(self, words: dict[str, tuple[int, str] | list[tuple[int, str]]]) -> None:
        """Let the commands named fail with an exit code and words; a list is for the first so many times."""
        (self.folder / "says").write_text(json.dumps(words))

    @property
    def containers(self) -> set[str]:
        """The names of the containers there are."""
        return {path.name for path in (self.folder / "containers").iterdir()}

    def left(self, name: str, owner: str | None) -> subprocess.Popen[bytes]:
        """Return what runs in a container with our label, and an owner if given, left by a killed run."""
        process = subprocess.Popen(["sleep", "600"])
        labels = ["app.kubernetes.io/managed-by=pi-speedup", "pi-speedup/namespace=team-a"]
        labels += [f"pi-speedup/owner={owner}"] if owner else []
        about = {"id": f"{process.pid:012x}", "pid": process.pid, "labels": labels}
        (self.folder / "containers" / name).write_text(json.dumps(about))
        return process

    @property
    def calls(self) -> list[list[str]]:
        """Each command's words."""
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


def processes_with(words: str, of: LocalShell | None = None) -> Iterator[int]:
    """Yield the ids of the processes whose command line holds these words; zombies have none.

    Of a shell's only, where one is given: tests beside this one start workers with the same words.
    """
    search_path = f"PATH={of.folder}:".encode() if of else b""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if words in command and search_path in (folder / "environ").read_bytes():
                yield int(folder.name)
        except OSError:
            continue
