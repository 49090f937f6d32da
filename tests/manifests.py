"""The role's manifests, rendered as Ansible does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import yaml

PROJECT = Path(__file__).resolve().parents[1]
ROLE = PROJECT / "roles/pi_job"
WORKER = PROJECT / "files/pi_worker.py"


def render(template: str, **changed: object) -> Any:
    """Return a manifest with the role's defaults and, unless changed, some inputs that have none."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters["to_json"] = json.dumps
    environment.globals["lookup"] = lambda _kind, path, rstrip: Path(path).read_text(encoding="utf-8")
    variables = {
        **yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")),
        **yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8")),
        "pi_job_run_id": "20261124-071530-3fa2",
        "pi_job_node_names": ["pi-1", "pi-2", "pi-3"],
        "pi_job_worker_path": str(WORKER),
        **changed,
    }
    return yaml.safe_load(environment.get_template(template).render(variables))
