"""What all classes of a run's files share, and how one of them is read from text that nobody vouches for."""

from __future__ import annotations

import json
from typing import Annotated, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pi_speedup.codes import Code
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.text import one_line

# What Kubernetes and inventories call a host, pod or container; safe to show anywhere.
Name = Annotated[str, StringConstraints(pattern=r"^[-._:A-Za-z0-9]{1,253}$")]
Text = Annotated[str, StringConstraints(max_length=4096)]
RUN_ID = r"^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$"
RunId = Annotated[str, StringConstraints(pattern=RUN_ID)]
# Above zero: below the clock's tick, or longer than 30 years, it is not a measurement.
Seconds = Annotated[float, Field(ge=1e-9, le=1e9)]
# From a start that may be the same moment.
SecondsSince = Annotated[float, Field(ge=0, le=1e9)]
# 64-bit: what a worker can count, and what still divides to a finite float.
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
EpochNs = Annotated[int, Field(ge=1, le=2**63 - 1)]
# The first is 1; going on with a run begins another.
Session = Annotated[int, Field(ge=1, le=999_999)]

# The largest file of a run: the nodes of 1,000 Pis have some 400 KB, a trial of 1,000 pods some 2 MB.
MAX_FILE_BYTES = 16 * 1024 * 1024


class Model(BaseModel):
    """Frozen and strict: no field that is not listed, no text for a number, no NaN, no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def text(self) -> str:
        """Return the file's content."""
        return self.model_dump_json(indent=2) + "\n"


AnyModel = TypeVar("AnyModel", bound=Model)


def load_json(
    text: str | bytes, where: str, max_bytes: int = MAX_FILE_BYTES, code: Code = Code.FILE_SPOILT
) -> dict[str, object]:
    """Return the JSON object in `text`; ProblemError of this `code`, naming `where`, for anything else.

    Refused too: NaN and Infinity (Python's parser takes them, JSON has none), a key given twice, a number of
    more than 400 digits, more than `max_bytes` bytes.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > max_bytes:
        raise refuse(code, where, f"{len(data)} bytes, more than the {max_bytes} expected")
    if not data.strip():
        raise refuse(code, where, "empty")

    def refuse_constant(name: str) -> NoReturn:
        raise refuse(code, where, f"{name} is not a measurement")

    def refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = dict(pairs)
        if len(found) != len(pairs):
            raise refuse(code, where, "a key is given twice")
        return found

    try:
        found = json.loads(
            data.decode("utf-8"), parse_constant=refuse_constant, object_pairs_hook=refuse_twice
        )
    except (ValueError, RecursionError) as error:
        raise refuse(code, where, f"not JSON ({one_line(error, 100)})") from None
    if not isinstance(found, dict):
        raise refuse(code, where, "not a JSON object")
    return found


def load(
    model: type[AnyModel],
    text: str | bytes,
    where: str,
    max_bytes: int = MAX_FILE_BYTES,
    code: Code = Code.FILE_SPOILT,
) -> AnyModel:
    """Return the model in `text`; ProblemError of this `code`, naming `where` and the first wrong field."""
    found = load_json(text, where, max_bytes, code)
    try:
        # As JSON, where a list may be a tuple; as Python's dict strict mode would refuse it.
        return model.model_validate_json(json.dumps(found))
    except ValidationError as error:
        raise field_problem(code, where, error) from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise refuse(code, where, one_line(error, 100)) from None


def shown_value(value: object) -> str:
    """Return a value as one would type it, cut to 60 characters."""
    try:
        return one_line(repr(value), 60)
    except (ValueError, RecursionError):
        # Of an int of more than 4,300 digits Python makes no text.
        return f"a {type(value).__name__} too large to show"


def field_problem(code: Code, where: str, error: ValidationError) -> ProblemError:
    """Return the first thing that pydantic found wrong as a problem."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = one_line(".".join(str(part) for part in first["loc"]), 100) or "the whole"
    shown = shown_value(first.get("input"))
    return refuse(code, where, f"{place} is {shown}: {one_line(first['msg'], 160)}")
