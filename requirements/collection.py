"""Unpack kubernetes.core, and nothing else, out of PyPI's `ansible` distribution, whose hash is pinned here.

    .venv/bin/python requirements/collection.py

It is where Ansible finds it by itself, beside ansible-core. Galaxy has the same one (requirements.yml).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

COLLECTION = "ansible_collections/kubernetes/core/"
PINS = Path(__file__).with_name("collection.txt")


def main() -> None:
    """Download the wheel, which pip holds to its hash, and put the collection's folder into site-packages."""
    site = Path(sysconfig.get_path("purelib"))
    with tempfile.TemporaryDirectory() as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        chosen = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(PINS)]
        done = subprocess.run([*download, *chosen, "--dest", folder], check=False)
        if done.returncode != 0:
            sys.exit(
                "kubernetes.core cannot be fetched: the lines above say why. Next: make setup again where "
                "https://pypi.org is reached; without a network, see docs/offline.md"
            )
        (wheel,) = Path(folder).glob("*.whl")
        # Files there may be hard links into a cache: they are replaced, never written into.
        shutil.rmtree(site / COLLECTION, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site, [name for name in archive.namelist() if name.startswith(COLLECTION)])


if __name__ == "__main__":
    main()
