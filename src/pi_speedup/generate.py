"""Write what is made from the models: run_plan's argument specification, the report's JSON Schema.

    make generate

A test holds each file equal to what this would write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import yaml

from pi_speedup.model.report import Report
from pi_speedup.model.run import Door
from pi_speedup.model.settings import PREFIX, Settings, allowed, default_words

PROJECT = Path(__file__).resolve().parents[2]
_HEAD = "# Made from src/pi_speedup/model/settings.py by `make generate`.\n"

# What the playbook passes in: no settings.
_INPUTS: dict[str, Any] = {
    "run_plan_door": {
        "description": "What is opened.",
        "type": "str",
        "choices": list(get_args(Door)),
        "required": True,
    },
    "run_plan_groups": {
        "description": "The hosts of each group of the inventory.",
        "type": "dict",
        "required": True,
    },
}


def argument_specs() -> str:
    """Return roles/run_plan/meta/argument_specs.yml."""
    options: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        words = (
            f"{field.description} Allowed: {allowed(field)}."
            if allowed(field) != "a text"
            else field.description
        )
        option: dict[str, Any] = {"description": words, "type": "raw"}
        if default_words(name) != "empty":
            option["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
        options[f"{PREFIX}{name}"] = option
    specs = {
        "main": {
            "short_description": "The settings are valid and the run has its folder",
            "description": [
                "These are all the settings of C(benchmark.yml) and the other playbooks.",
                "Set them in the inventory or with C(-e). The role checks them itself, in one line.",
                "Writes C(run.json), which all other roles read: the run's folder, kubeconfig and Pis.",
                "C(run_plan_run) has C(dir), the folder of this file, and what the plays' hosts depend on.",
            ],
            "options": options | _INPUTS,
        },
        "seal": {
            "short_description": "C(plan.json) lists what will be measured, and is shown",
            "description": ["Runs after C(main). A plan that is there already stays as it is."],
        },
    }
    return (
        _HEAD
        + "---\n"
        + yaml.safe_dump({"argument_specs": specs}, sort_keys=False, width=118, allow_unicode=True)
    )


def report_schema() -> str:
    """Return report.schema.json, which describes report.json field by field."""
    schema = Report.model_json_schema(mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:pi-speedup:report:v1",
        "$comment": "Made from src/pi_speedup/model/report.py by `make generate`.",
    }
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


def generated() -> dict[Path, str]:
    """Return path -> content of all generated files."""
    return {
        PROJECT / "roles/run_plan/meta/argument_specs.yml": argument_specs(),
        PROJECT / "src/pi_speedup/report/report.schema.json": report_schema(),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
