#!/usr/bin/python
"""Read what a run needs to know of a Pi. Runs on the Pi: Python 3.8 or later, any user."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pi_host_facts
short_description: Read what a run needs to know of a Pi
description:
  - Reads files and asks C(vcgencmd), and a container runtime if one is named. Changes nothing, needs no root.
  - Returns text as it was found; what cannot be read is null. The control host parses and judges it.
  - Times of day in ns since 1970 are taken first and last, so that what lies between makes no clock seem off.
options:
  runtime:
    description: Container runtime to ask whether this user may use it; empty asks none.
    type: str
    choices: ["", docker, podman]
    default: ""
  command_timeout_seconds:
    description: Longest time that one command may take.
    type: float
    default: 10
author: pi-speedup contributors
"""

EXAMPLES = r"""
- name: Look at a Pi that runs the base case
  pi_host_facts:
    runtime: docker
"""

RETURN = r"""
first_epoch_ns: {description: Time of day when the reading began., type: int, returned: always}
last_epoch_ns: {description: Time of day when it ended., type: int, returned: always}
runtime: {description: Outcome of asking the runtime, type: dict, returned: when one is named}
"""

import glob
import os
import platform
import struct
import subprocess
import time
from typing import Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule

# Answered by the daemon (docker), or after setting up storage and user namespace (podman): whoever gets an
# answer may run containers.
RUNTIME_QUESTIONS = {
    "docker": ["docker", "version", "--format", "{{.Server.Version}}"],
    # Tells too whether this user's containers can be limited.
    "podman": ["podman", "info", "--format", "json"],
}
# coreutils' timeout says so.
TIMED_OUT = 124
# Longest text that is worth sending.
LIMIT = 16384


def read(path: str) -> Optional[str]:
    """Return a file's text, None if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(LIMIT).decode("utf-8", "replace").replace("\0", "")
    except OSError:
        return None


def read_first(pattern: str) -> Optional[str]:
    """Return the text of the first file that matches and can be read."""
    for path in sorted(glob.glob(pattern)):
        text = read(path)
        if text is not None:
            return text
    return None


def ask(words: List[str], seconds: float) -> Dict[str, Any]:
    """Return the outcome of a command as rc, stdout and stderr; it never raises."""
    environment = dict(os.environ, LC_ALL="C")
    # Not on the PATH of a plain login on older systems.
    environment["PATH"] = environment.get("PATH", os.defpath) + ":/usr/local/bin:/usr/bin:/bin:/opt/vc/bin"
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"rc": TIMED_OUT, "stdout": "", "stderr": "no answer within %g s" % seconds}
    except OSError as error:
        return {"rc": error.errno, "stdout": "", "stderr": str(error)}
    return {
        "rc": done.returncode,
        "stdout": done.stdout[:LIMIT].decode("utf-8", "replace"),
        "stderr": done.stderr[:LIMIT].decode("utf-8", "replace"),
    }


def answer(words: List[str], seconds: float) -> Optional[str]:
    """Return what a command printed, None if it failed."""
    outcome = ask(words, seconds)
    return outcome["stdout"] if outcome["rc"] == 0 else None


def thermal_zones() -> List[List[Optional[str]]]:
    """Return [type, thousandths of a degree] of each zone of the kernel."""
    zones = sorted(glob.glob("/sys/class/thermal/thermal_zone*"))
    return [[read(zone + "/type"), read(zone + "/temp")] for zone in zones]


def governors() -> List[str]:
    """Return the different governors of all cores."""
    paths = glob.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    return sorted({text.strip() for text in map(read, paths) if text})


def main() -> None:
    """Read everything; a Pi that tells nothing is no failure here."""
    module = AnsibleModule(
        argument_spec={
            "runtime": {"type": "str", "default": "", "choices": ["", "docker", "podman"]},
            "command_timeout_seconds": {"type": "float", "default": 10},
        },
        supports_check_mode=True,
    )
    seconds = module.params["command_timeout_seconds"]
    question = RUNTIME_QUESTIONS.get(module.params["runtime"])
    first = time.time_ns()
    uname = os.uname()
    found = {
        "device_tree_model": read("/proc/device-tree/model"),
        "os_release": read("/etc/os-release"),
        "kernel": uname.release,
        "machine": uname.machine,
        # Of the interpreter, which is one of the userland.
        "userland_bits": struct.calcsize("P") * 8,
        "python_version": platform.python_version(),
        "cores": os.cpu_count(),
        "meminfo": read("/proc/meminfo"),
        "cgroup_controllers": read("/sys/fs/cgroup/cgroup.controllers"),
        "cgroups": read("/proc/cgroups"),
        "vcgencmd_throttled": answer(["vcgencmd", "get_throttled"], seconds),
        "sysfs_throttled": read_first("/sys/devices/platform/soc*/*firmware/get_throttled"),
        "vcgencmd_temperature": answer(["vcgencmd", "measure_temp"], seconds),
        "thermal_zones": thermal_zones(),
        "governors": governors(),
        "loadavg": read("/proc/loadavg"),
        "runtime": ask(question, seconds) if question else None,
    }
    module.exit_json(changed=False, first_epoch_ns=first, last_epoch_ns=time.time_ns(), **found)


if __name__ == "__main__":
    main()
