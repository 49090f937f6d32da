"""An HTML page: the base that all pages share, every value escaped, the policy, the data embedded."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from pi_speedup.catalogue import Catalogue
from pi_speedup.model.base import Model
from pi_speedup.text import one_line

TEMPLATES = Path(__file__).with_name("templates")
# As long as anything that the model takes; a log of megabytes never gets here.
_TEXT_LIMIT = 4096


def document(template: Path, words: Catalogue, tool: str, data_id: str, data: Model, **values: object) -> str:
    """Return a page made of a template, which may use base.html.j2 and parts.html.j2.

    tool: what made the page, with its version. data: embedded as JSON, as the element `data_id`.
    """
    style = (TEMPLATES / "page.css").read_text("utf-8")
    return (
        _environment(template.parent)
        .get_template(template.name)
        .render(
            w=words,
            t=words,
            tool=tool,
            csp=_policy(style),
            style=Markup(style),  # nosec B704  # our own file
            data_id=data_id,
            data=Markup(_embedded(data)),  # nosec B704  # escaped there
            **values,
        )
    )


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["svg"] = Markup
    return environment


def _finalize(value: object) -> object:
    """Return a value as one line that can do no harm; Jinja itself leaves control characters as they are."""
    if value is None:
        raise TypeError("a template must say what to show where there is no value")
    return value if isinstance(value, Markup) else escape(one_line(value, _TEXT_LIMIT))


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _embedded(data: Model) -> str:
    """Return the data in ASCII without a character that ends a script element or begins a comment."""
    text = json.dumps(data.model_dump(mode="json"), separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
