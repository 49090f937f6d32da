"""docs/offline.md keeps its word: from the folder of wheels all is installed without a network."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.clone import copy_work_tree, make
from tests.virtual import PROJECT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a program no network")
def test_setup_from_wheels_without_a_network(tmp_path: Path) -> None:
    assert "\n```sh\nmake wheels\n```\n" in (PROJECT / "docs/offline.md").read_text()
    clone = copy_work_tree(tmp_path / "clone")
    fetched = make(clone, "wheels")
    assert fetched.returncode == 0, fetched.stdout
    alone = ["unshare", "--net", "--"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "ANSIBLE"))}
    for words in (["make", "setup"], [".venv/bin/python", "-m", "pi_speedup", "--version"]):
        done = subprocess.run(
            [*alone, *words], cwd=clone, env=kept, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("pi-speedup ")
