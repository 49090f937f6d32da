"""The box around one container: a helper process, run by path, importing only the standard library.

It reads its plan (see container.py) as JSON on stdin and needs no privilege. Normally it has user, PID,
mount, IPC and host name namespaces of its own: a tmpfs root, the host's /usr and the interpreter bound
read-only, the volumes at their real paths. Where the host forbids that (``"namespaces": false``) the paths
in the command and its environment are rewritten instead, and nothing is hidden or read-only.

stdout carries two kinds of line to the virtual Pi: `pid N` (the container's first process as the host sees
it) and `error TEXT`; its end without an error means that the command runs. stderr is the container's log.
"""

import ctypes
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

# Kernel constants: linux/sched.h, linux/mount.h, linux/prctl.h, asm-generic/unistd.h
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 8192, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
SYS_MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1

HOST_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix")
HOST_FILES = (
    "/etc/ld.so.cache", "/etc/ssl", "/etc/ca-certificates", "/etc/alternatives", "/etc/localtime",
    "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/services", "/etc/protocols",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

Plan = dict[str, Any]
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Turn libc's -1 into an OSError that says what was tried."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def prctl(option: int, value: int) -> int:
    """prctl(2); its result."""
    return int(libc.prctl(option, value, 0, 0, 0))


def mount(source: str, target: str | Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    words = [word.encode() for word in (source, str(target), kind)]
    result = libc.mount(*words, ctypes.c_ulong(flags), data.encode())
    check(result, f"mount {kind or source} on {target}")


def read_only(path: str | Path, recursive: bool = True) -> None:
    """Make a mount read-only; mount_setattr(2), Linux 5.12, keeps its other flags where a remount may not."""
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    flags = AT_RECURSIVE if recursive else 0
    result = libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, str(path).encode(), flags, attributes, 32)
    check(result, f"make {path} read-only")


def bind(source: str, target: Path, writable: bool = False) -> None:
    """Show the host's ``source`` at ``target``, created on the way."""
    if Path(source).is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount(source, target, flags=MS_BIND | MS_REC)
    if not writable:
        read_only(target)


def map_user(uid: int, gid: int, outer_uid: int, outer_gid: int) -> None:
    """In a user namespace just entered: ``outer_uid``:``outer_gid`` outside is ``uid``:``gid`` here."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def build_root(root: Path, plan: Plan) -> None:
    """Mount the container's file system on the folder ``root``."""
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for name, mode in (("dev", 0o755), ("etc", 0o755), ("proc", 0o555), ("tmp", 0o1777), ("root", 0o700)):
        (root / name).mkdir()
        (root / name).chmod(mode)
    mount("tmpfs", root / "dev", "tmpfs", MS_NOSUID, "mode=755")
    for folder in map(Path, HOST_FOLDERS):
        if folder.is_symlink():
            (root / folder.name).symlink_to(folder.readlink())
        elif folder.is_dir():
            bind(str(folder), root / folder.name)
    for file in (*HOST_FILES, *DEVICES):
        if Path(file).exists():
            bind(os.path.realpath(file), root / file[1:], writable=file in DEVICES)
    (root / "dev/shm").mkdir()
    mount("tmpfs", root / "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (root / "dev" / name).symlink_to(f"/proc/self/fd/{number}")
    (root / "dev/fd").symlink_to("/proc/self/fd")
    install_python(root, plan)
    user = f"pod:x:{plan['uid']}:{plan['gid']}::/:/bin/sh\n" if plan["uid"] else ""
    (root / "etc/passwd").write_text(f"root:x:0:0:root:/root:/bin/sh\n{user}")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/hostname").write_text(f"{plan['hostname']}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1\tlocalhost\n{plan['address']}\t{plan['hostname']}\n")


def install_python(root: Path, plan: Plan) -> None:
    """Put the interpreter where the official image has it, in /usr/local/bin."""
    prefix = plan["prefix"]
    if prefix == "/usr/local":
        return
    mount("tmpfs", root / "usr/local", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    link_python(root / "usr/local/bin", plan["executable"])
    if prefix != "/usr":
        bind(prefix, root / prefix[1:])
    read_only(root / "usr/local")


def link_python(folder: Path, executable: str) -> None:
    """All names by which the image knows its interpreter."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in {"python", "python3", Path(executable).name}:
        (folder / name).symlink_to(executable)


def enter(plan: Plan) -> None:
    """In the container's first process: build the root, make it ours, become the pod's user."""
    check(libc.unshare(NEWNS | NEWUTS | NEWIPC), "unshare")
    socket.sethostname(plan["hostname"])
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    root = Path(plan["root"])
    build_root(root, plan)
    for source, target, writable in plan["binds"]:
        bind(source, root / target[1:], writable)
    mount("proc", root / "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir(root)
    # Not pivot_root, which would move the parent's root, too, and has no number common to all machines.
    mount(".", "/", flags=MS_MOVE)
    os.chroot(".")
    Path(plan["cwd"]).mkdir(parents=True, exist_ok=True)
    os.chdir(plan["cwd"])
    if plan["read_only_root"]:
        read_only("/", recursive=False)
        read_only("/dev", recursive=False)
    # A second user namespace: the pod's user is no more allowed to change the mounts than in a container.
    check(libc.unshare(NEWUSER), "unshare the user namespace")
    map_user(plan["uid"], plan["gid"], 0, 0)


def rewrite(plan: Plan) -> None:
    """Without namespaces: let the command find its volumes and its interpreter on the host."""
    root = Path(plan["root"])
    link_python(root / "bin", plan["executable"])
    for source, target, _ in plan["binds"]:
        whole = re.compile(rf"(?<![\w./-]){re.escape(target)}(?![\w.-])")
        plan["argv"] = [whole.sub(source, word) for word in plan["argv"]]
        plan["env"] = {name: whole.sub(source, value) for name, value in plan["env"].items()}
        plan["cwd"] = whole.sub(source, plan["cwd"])
    plan["env"]["PATH"] = f"{root}/bin:{plan['env']['PATH']}"
    os.chdir(plan["cwd"] if Path(plan["cwd"]).is_dir() else root)


def run_command(plan: Plan) -> None:
    """Become the pod's command; never returns."""
    report = os.dup(1)  # closed by a successful exec
    try:
        os.setsid()
        enter(plan) if plan["namespaces"] else rewrite(plan)
        if plan["drop_capabilities"]:
            capability = 0
            while prctl(PR_CAPBSET_DROP, capability) == 0:
                capability += 1
        if plan["no_new_privileges"]:
            check(prctl(PR_SET_NO_NEW_PRIVS, 1), "no_new_privs")
        # Late, because a change of credentials clears it.
        check(prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "parent-death signal")
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(2, 1)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and exec would hand that down
            signal.signal(ignored, signal.SIG_DFL)
    except Exception as error:
        os.write(report, f"error cannot build the box: {error}\n".encode())
        os._exit(128)
    command = plan["argv"][0]
    why = "executable file not found in $PATH"
    try:
        os.execvpe(command, plan["argv"], plan["env"])
    except FileNotFoundError:
        if "/" in command:
            why = f"stat {command}: no such file or directory"
    except OSError as error:
        why = str(error.strerror).lower()
    os.write(report, f'error exec: "{command}": {why}\n'.encode())
    os._exit(128)


def main() -> None:
    """Open the namespaces, start the container's first process, hand its exit code on."""
    plan = json.load(sys.stdin)
    uid, gid = os.geteuid(), os.getegid()
    try:
        if plan["namespaces"]:
            check(libc.unshare(NEWUSER | NEWPID), "unshare the user namespace")
            map_user(0, 0, uid, gid)
        else:
            check(prctl(PR_SET_CHILD_SUBREAPER, 1), "child subreaper")
        check(prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "parent-death signal")
    except OSError as error:
        os.write(1, f"error cannot build the box: {error}\n".encode())
        os._exit(128)
    if os.getppid() != plan["parent"]:
        os._exit(137)
    pid = os.fork()
    if pid == 0:
        run_command(plan)
    os.write(1, f"pid {pid}\n".encode())
    os.close(1)
    _, status = os.waitpid(pid, 0)
    if not plan["namespaces"]:
        end_session(pid)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def end_session(leader: int) -> None:
    """Kill what the command left behind, as the end of a PID namespace does."""
    try:
        os.killpg(leader, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        return


if __name__ == "__main__":
    main()
