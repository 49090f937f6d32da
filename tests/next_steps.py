"""Every next step that the product can print, from its sources: `python -m tests.next_steps` lists them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.virtual import PROJECT

# What a step, or a part of one, is called before it is printed.
_NAMES = (
    "step",
    "next_step",
    "look",
    "hint",
    "make",
    "WHO_DOES_NOT_ANSWER",
    "ANOTHER",
    "_GIVE_ANOTHER",
    "FETCH_AGAIN",
    "_FROM_A_COPY",
)
_REFUSALS = ("refuse", "KubeError", "problem", "_NoAddress")


@dataclass(frozen=True)
class Step:
    """A step with `{…}` for what differs, and where it is written."""

    place: str
    text: str


def next_steps() -> list[Step]:
    """Return all of them, in the order of the files."""
    found = []
    for folder, pattern in (("src/pi_speedup", "**/*.py"), ("roles", "*/action_plugins/*.py")):
        for path in sorted((PROJECT / folder).glob(pattern)):
            found += sorted(set(_of_file(path)), key=lambda step: int(step.place.rpartition(":")[2]))
    return found


def _of_file(path: Path) -> Iterator[Step]:
    for node in ast.walk(ast.parse(path.read_text())):
        for value in _values(node):
            for text in _texts(value):
                # A word alone is a part of another.
                if " " in text:
                    yield Step(f"{path.relative_to(PROJECT)}:{value.lineno}", text)


def _values(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).rpartition(".")[2]
        named = [each.value for each in node.keywords if each.arg == "next_step"]
        yield from named
        if not named and called in _REFUSALS and len(node.args) > 2:
            yield node.args[-1]
    elif isinstance(node, ast.Assign):
        targets = [each.id for each in node.targets if isinstance(each, ast.Name)]
        if set(targets) & set(_NAMES):
            yield node.value
        elif any(name.endswith(("_WORDS", "_HERE")) for name in targets) and isinstance(
            node.value, ast.Tuple
        ):
            # Tables whose rows end with the step.
            yield from (row.elts[-1] for row in node.value.elts if isinstance(row, ast.Tuple))


def _texts(node: ast.expr) -> list[str]:
    """Return what an expression can be as text; nothing for what is made elsewhere."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        parts = [each.value if isinstance(each, ast.Constant) else "{…}" for each in node.values]
        return ["".join(str(part) for part in parts)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.BinOp):
        return [before + after for before in _texts(node.left) for after in _texts(node.right)]
    return []


if __name__ == "__main__":
    for each in next_steps():
        print(f"{each.place}\t{each.text}")
