"""What is measured is known in few places: the others speak of an amount and its unit."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PRODUCT = ("src", "roles", "playbooks", "callback_plugins", "filter_plugins", "files")
# Written by `make generate`.
MADE = {"roles/run_plan/meta/argument_specs.yml", "src/pi_speedup/report/report.schema.json"}
OF_PI = re.compile(
    r"π|pi_worker|\b[Ss]amples|\bengine\b|estimate_of_pi|merged_pi|rng_seed|stretch_(of|group)"
    r"|workload(\.| import )pi\b"
)


def test_pi_is_named_in_few_files() -> None:
    files = [path for folder in PRODUCT for path in (PROJECT / folder).rglob("*") if path.is_file()]
    named = {
        str(path.relative_to(PROJECT))
        for path in files
        if path.suffix != ".pyc" and OF_PI.search(path.read_text("utf-8"))
    }
    assert named - MADE == {
        "files/pi_worker.py",
        "src/pi_speedup/catalogue/en.toml",
        "src/pi_speedup/catalogue/zh-TW.toml",
        "src/pi_speedup/model/settings.py",
        "src/pi_speedup/report/workload/pi.py",
        "src/pi_speedup/workload/__init__.py",
        "src/pi_speedup/workload/pi.py",
    }
