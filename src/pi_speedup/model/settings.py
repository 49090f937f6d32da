"""The settings of a benchmark, each written once: type, default, bounds, unit and sentence.

In Ansible each is a variable `benchmark_<name>`. The role's argument specification, and so `ansible-doc`, is
made from this class (`make generate`).
"""

from __future__ import annotations

import difflib
import types
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from pi_speedup.catalogue import Language
from pi_speedup.codes import Code
from pi_speedup.model.base import Model, shown_value
from pi_speedup.problem import ProblemError, refuse
from pi_speedup.text import one_line

PREFIX = "benchmark_"
# What is run of a program that comes without a command.
RUN_THE_PROGRAM = '"$PI_SPEEDUP_PROGRAM"'
# Marks what says where and how a run is made, but not what is measured: it may differ when a run goes on.
LOCAL: JsonDict = {"local": True}


def _no_text_for_none(value: object) -> object:
    # Ansible has no way to unset a variable but an empty text.
    return None if value == "" else value


def _not_a_bool(value: object) -> object:
    # True is an int to Python, and pydantic's lax mode makes a 1 of it.
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


def _no_control_character(value: str) -> str:
    # A zero byte, or half a pair of UTF-16, ends up in a path or a command, and Python raises its own error.
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        raise PydanticCustomError("control_character", "it holds a control character")
    return value


def _no_half_character(value: str) -> str:
    # No shell takes a zero byte, and nothing can be written that holds half a pair of UTF-16.
    if any(char == "\0" or unicodedata.category(char) == "Cs" for char in value):
        raise PydanticCustomError("control_character", "it holds a control character")
    return value


def _texts(value: object) -> object:
    # YAML makes numbers and truth values of what a shell calls text.
    if not isinstance(value, Mapping):
        return value
    return {
        str(name): str(each).lower()
        if isinstance(each, bool)
        else each
        if isinstance(each, str)
        else str(each)
        for name, each in value.items()
    }


def _split(value: object) -> object:
    # With -e a list is easier written as a text: json,html.
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


ReportFormat = Literal["json", "md", "csv", "html", "metrics"]
Whole = Annotated[int, BeforeValidator(_not_a_bool)]
Number = Annotated[float, BeforeValidator(_not_a_bool)]
Words = Annotated[str, Field(max_length=4096), AfterValidator(_no_control_character)]
# Of a shell: lines, quotes, whatever.
Script = Annotated[str, Field(max_length=16_384), AfterValidator(_no_half_character)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
# Of a run of this project's own program, of which one thread computes, and of a command.
PI_MEMORY_MIB, COMMAND_MEMORY_MIB = 128, 512
_OF_COMMAND = (
    "prepare",
    "divisible",
    "runs_per_process",
    "environment",
    "network",
    "output_filter",
    "verify",
)


class Settings(Model):
    """All that can be set. Values given with -e are text, so numbers and yes/no may come as such."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    trial_seconds: Number = Field(
        10.0,
        ge=0.1,
        le=86_400,
        description="How long a process should work in a trial, in seconds. How much it does in that time is "
        "found out on the Pi that works alone, before the plan is sealed.",
    )
    samples_per_process: Annotated[Whole | None, BeforeValidator(_no_text_for_none)] = Field(
        None,
        ge=1,
        le=10**13,
        description="Random points that each process draws, in place of those for `benchmark_trial_seconds`.",
    )
    command: Script = Field(
        "",
        description="A command to measure in place of π, run by the `sh` of `benchmark_image`. "
        "Exit code 0 is done. Empty, with `benchmark_program`: that program.",
    )
    program: Words = Field(
        "",
        description="A script of yours, at most 64 KiB of text, which the command finds at "
        "$PI_SPEEDUP_PROGRAM.",
    )
    prepare: Script = Field(
        "",
        description="A command that runs before each trial in the same container and is not timed, such as "
        "a compiler.",
    )
    divisible: bool = Field(
        False,
        description="Whether the Pis share one job: each does the part $PI_SPEEDUP_INDEX, from 0, of "
        "$PI_SPEEDUP_COUNT. Without it each Pi runs the whole command.",
    )
    runs_per_process: Annotated[Whole | None, BeforeValidator(_no_text_for_none)] = Field(
        None,
        ge=1,
        le=1_000_000,
        description="How often a process runs the command in a trial, in place of as often as "
        "`benchmark_trial_seconds` takes.",
    )
    environment: Annotated[
        dict[VariableName, Script], BeforeValidator(_texts), BeforeValidator(lambda value: value or {})
    ] = Field(
        {},
        max_length=100,
        description="Variables of the command's environment. They are in the run's files, so no passwords.",
    )
    network: bool = Field(False, description="Whether the command may use the network.")
    output_filter: Script = Field(
        "",
        description="A command that gets what the command wrote and writes what of it must be the same on "
        "all Pis; not timed.",
    )
    verify: Script = Field(
        "",
        description="A command that gets what the command wrote, and ends with exit code 0 if that is "
        "right; not timed.",
    )
    processes_per_pi: Literal["all"] | Annotated[Whole, Ge(1), Le(16)] = Field(
        1,
        description="Processes that each Pi runs at once, each on a core; `all` for as many as it has cores.",
    )
    rounds: Whole = Field(
        7,
        ge=1,
        le=1000,
        description="Rounds to measure, after one warm-up round. A round is one trial of each cell. "
        "Five is the least for an interval.",
    )
    warm_up: bool = Field(
        True, description="Measure one round first that no figure counts: it pulls images and warms the Pis."
    )
    long_rounds: Whole = Field(
        3,
        ge=0,
        le=1000,
        description="In how many of the rounds one Pi alone also does the work of all Pis.",
    )
    sweep: bool = Field(
        False, description="Also measure 1, 2, ... Pis together: each number up to 8, then 16, 32, ..."
    )
    each_pi: bool = Field(
        False,
        description="In three of the rounds, also measure each Pi by itself, with a Job of one pod: "
        "the sum of their rates is what the cluster can give.",
    )
    control_round: bool = Field(
        False,
        description="In three of the rounds, also measure all Pis at 0.8 of the CPU limit: "
        "if the speedup does not fall to 0.8 of itself, the limit or the measurement is wrong.",
    )
    target_percent: Annotated[Number | None, BeforeValidator(_no_text_for_none)] = Field(
        None,
        gt=0,
        le=100,
        description="Stop before the last round once half the width of the interval is this, in percent.",
    )
    budget_minutes: Annotated[Number | None, BeforeValidator(_no_text_for_none)] = Field(
        None, gt=0, le=100_000, description="Begin no further round once this many minutes are spent."
    )
    rest_seconds: Number = Field(0, ge=0, le=3600, description="Pause before each trial, in seconds.")
    order_seed: Annotated[Whole | None, BeforeValidator(_no_text_for_none)] = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Decides the order in the first round. Chosen at random if empty, and recorded.",
    )
    replay_whole: bool = Field(
        False,
        description="For the report, draw all points of one worker again on the control host. "
        "The first points of every worker are drawn again in any case.",
    )
    engine: Literal["seed"] = Field("seed", description="The worker's loop.")
    image: str = Field(
        "python:3.9",
        pattern=r"^[a-z0-9][-a-zA-Z0-9._:/@]{0,254}$",
        description="Image of the pods, and of the container on the Pi that works alone.",
    )
    architecture: str = Field(
        "arm64",
        pattern=r"^[a-z0-9]{1,30}$",
        description="Architecture of the Pis as Kubernetes names it; a 32-bit Raspberry Pi OS is `arm`.",
    )
    cpu_limit_cores: Number = Field(
        1.0,
        ge=0.01,
        le=256,
        description="Cores that each process may use. That of π has one thread, and at most 1.",
    )
    memory_limit_mib: Whole = Field(
        PI_MEMORY_MIB,
        ge=16,
        le=1_048_576,
        description="Memory that each process may use, in MiB. "
        f"Of a command {COMMAND_MEMORY_MIB}, if it is not set.",
    )
    scratch_mib: Whole = Field(
        64,
        ge=1,
        le=1_048_576,
        description="Size of a command's /tmp, in MiB. It is in memory, beside that of the processes.",
    )
    timeout_seconds: Whole = Field(
        1800, ge=1, le=604_800, description="Longest time that one trial may take, in seconds."
    )
    ttl_seconds: Whole = Field(
        86_400, ge=0, le=31_536_000, description="How long a finished Job stays in the cluster, in seconds."
    )
    namespace: str = Field(
        "pi-speedup",
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        description="Namespace of the Jobs; made where it is missing, used as it is where it is not ours.",
    )
    base_runtime: Literal["docker", "podman", "process"] = Field(
        "docker", description="What runs the worker on the Pi that works alone; `process` for no container."
    )
    base_command_prefix: tuple[Words, ...] = Field(
        (),
        max_length=100,
        description="Words put before the command of a `process`, such as [taskset, -c, '3'].",
    )
    base_python: Words = Field("python3", min_length=1, description="Interpreter of a `process`.")
    label: str = Field(
        "",
        max_length=80,
        description="What this run tries, such as `fan on`. `compare` takes only runs with the same label as "
        "equal ones, when it looks how far those scatter.",
    )
    caveat: str = Field(
        "",
        max_length=200,
        description="A sentence shown wherever the figures are shown, for hardware that needs one.",
    )
    min_pis: Annotated[Whole | None, BeforeValidator(_no_text_for_none)] = Field(
        None,
        ge=1,
        le=10_000,
        description="How many Pis are enough. One that is away, cordoned or lost is then left out as long as "
        "so many others are fit, and everything says so. Empty: all of the inventory are needed.",
        json_schema_extra=LOCAL,
    )
    run_id: Annotated[str, BeforeValidator(lambda value: value or "")] = Field(
        "",
        pattern=r"^([a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?)?$",
        description="Name of the run. That of an unfinished run goes on with it; empty begins a new one.",
        json_schema_extra=LOCAL,
    )
    runs_dir: Words = Field(
        "", description="Folder of the runs; `runs` beside benchmark.yml if empty.", json_schema_extra=LOCAL
    )
    kubeconfig: Words = Field(
        "",
        description="The kubeconfig on the control host. Empty: $KUBECONFIG; without it, that of the "
        "K3s server is fetched (group `server`); without that, ~/.kube/config.",
        json_schema_extra=LOCAL,
    )
    report_formats: Annotated[tuple[ReportFormat, ...], BeforeValidator(_split)] = Field(
        ("json", "md", "csv", "html", "metrics"),
        min_length=1,
        description="Files of the report: `json` for programs, `md` to read, `csv` for a spreadsheet, "
        "`html` for a page with charts, `metrics` for Prometheus.",
        json_schema_extra=LOCAL,
    )
    language: Language = Field(
        "en",
        description="Language of the page, of report.md and of the lines on the terminal.",
        json_schema_extra=LOCAL,
    )
    host_checks: bool = Field(
        True,
        description="Look at each Pi over SSH before and after. `false` for Pis that you cannot log in to.",
        json_schema_extra=LOCAL,
    )

    @model_validator(mode="before")
    @classmethod
    def _memory_of_a_command(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("command"):
            return {"memory_limit_mib": COMMAND_MEMORY_MIB, **given}
        return given

    def container_memory_mib(self, processes: int) -> int:
        """Return the limit of a container with so many processes: what is in /tmp counts too."""
        return self.memory_limit_mib * processes + (self.scratch_mib if self.command else 0)

    def without_local(self) -> Settings:
        """Return the settings that decide what is measured; those that say where have their defaults."""
        defaults = {name: field.default for name, field in Settings.model_fields.items() if is_local(name)}
        return self.model_copy(update=defaults)


def is_local(name: str) -> bool:
    """Say whether the setting `name` tells where a run is made, not what is measured."""
    return Settings.model_fields[name].json_schema_extra == LOCAL


def settings_from(variables: Mapping[str, object]) -> Settings:
    """Return the settings among Ansible's variables; ProblemError (one line) for the first that is wrong.

    Only names that begin with `benchmark_` are looked at; one of them that is not a setting is refused, since
    a mistyped setting would silently keep its default.
    """
    given = {name.removeprefix(PREFIX): value for name, value in variables.items() if name.startswith(PREFIX)}
    for name in given:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, 1)
            hint = f"did you mean {PREFIX}{near[0]}?" if near else "ansible-doc -t role run_plan lists all"
            raise refuse(Code.SETTING_UNKNOWN, f"{PREFIX}{one_line(name, 60)}", "not a setting", hint)
    if given.get("program") and not given.get("command"):
        given["command"] = RUN_THE_PROGRAM
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise _setting_problem(error) from None
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    """Raise ProblemError for a setting that means nothing, or cannot be, beside the others."""
    if settings.command:
        if settings.replay_whole:
            what = "π's points can be drawn again, a command's work cannot"
            raise refuse(Code.SETTING_NOT_VALID, f"{PREFIX}replay_whole", what, "leave it out")
        return
    for name in _OF_COMMAND:
        if getattr(settings, name) != Settings.model_fields[name].default:
            what = "there is no command that it belongs to"
            step = f"set {PREFIX}command or {PREFIX}program too, or leave it out"
            raise refuse(Code.SETTING_NOT_VALID, f"{PREFIX}{name}", what, step)
    if settings.cpu_limit_cores > 1:
        what = f"a process of π has one thread, so {settings.cpu_limit_cores:g} cores are too many"
        step = f"set it to 1 at most, and {PREFIX}processes_per_pi to how many cores shall work"
        raise refuse(Code.SETTING_NOT_VALID, f"{PREFIX}cpu_limit_cores", what, step)


def allowed(field: FieldInfo) -> str:
    """Return what a setting may be, in words."""
    choices, kinds, bounds = _parts(field.annotation)
    bounds += field.metadata
    low = next((bound.ge for bound in bounds if isinstance(bound, Ge)), None)
    above = next((bound.gt for bound in bounds if isinstance(bound, Gt)), None)
    high = next((bound.le for bound in bounds if isinstance(bound, Le)), None)
    words = [str(choice) for choice in choices]
    if tuple in kinds and choices:
        return f"a list of {' or '.join([', '.join(words[:-1]), words[-1]])}"
    if bool in kinds:
        words.append("true or false")
    elif kinds & {int, float}:
        kind = "a whole number" if int in kinds else "a number"
        start = f"above {above:,} and at most" if above is not None else f"from {low:,} to"
        words.append(f"{kind} {start} {high:,}")
    elif dict in kinds:
        words.append("names, each with a text")
    elif tuple in kinds:
        words.append("a list of texts")
    elif str in kinds:
        words.append("a text")
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _parts(annotation: Any) -> tuple[list[object], set[type], list[object]]:
    """Return the choices, the types and the bounds of a type annotation."""
    origin = get_origin(annotation)
    if origin is Literal:
        return list(get_args(annotation)), set(), []
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        choices, kinds, bounds = _parts(inner)
        return choices, kinds, bounds + metadata
    if origin in (Union, types.UnionType):
        parts = [_parts(each) for each in get_args(annotation) if each is not type(None)]
        return (
            [choice for choices, _, _ in parts for choice in choices],
            {kind for _, kinds, _ in parts for kind in kinds},
            [bound for _, _, bounds in parts for bound in bounds],
        )
    if origin is tuple:
        return _parts(get_args(annotation)[0])[0], {tuple}, []
    return [], {origin or annotation}, []


_EXAMPLES = {
    "image": "name one as in docker pull, such as python:3.9",
    "namespace": "use a-z, 0-9 and -, at most 63 characters, no - at the ends",
    "run_id": "use a-z, 0-9 and -, at most 32 characters, no - at the ends",
    "architecture": "set it to arm64, or to arm for a 32-bit system",
}


def _setting_problem(error: ValidationError) -> ProblemError:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    shown = shown_value(first.get("input"))
    if first["type"] in ("control_character", "string_too_long", "too_long"):
        how = "holds a control character" if first["type"] == "control_character" else "is too long"
        return refuse(Code.SETTING_NOT_VALID, f"{PREFIX}{name}", f"{shown} {how}", "correct it")
    what = f"{shown} is not {'valid' if name in _EXAMPLES else allowed(Settings.model_fields[name])}"
    return refuse(
        Code.SETTING_NOT_VALID,
        f"{PREFIX}{name}",
        what,
        _EXAMPLES.get(name, f"correct it (default: {default_words(name)})"),
    )


def default_words(name: str) -> str:
    """Return a setting's default as one would type it."""
    value = Settings.model_fields[name].default
    if value is None or value in ("", (), {}):
        return "empty"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
