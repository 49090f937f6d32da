"""The catalogue: each sentence in each language, with the same values; each is used, none is missing."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path
from typing import get_args

import pytest

from pi_speedup.catalogue import LANGUAGES, Catalogue, Message, Unit, catalogue
from pi_speedup.model.report import ControlName
from pi_speedup.problem import ProblemError
from pi_speedup.report.checks import CHECKS

SOURCE = Path(__file__).resolve().parents[2] / "src/pi_speedup"
CODE = "".join(path.read_text("utf-8") for path in [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.j2")])
# A text may name the unit of the work in another form than its sister does.
OF_THE_UNIT = {"units", "rate_short", "rate_long", "rate_words", "rate_axis", "first_loss", "first_factor"}


def whole(language: str) -> dict[str, str]:
    """Return a catalogue, with one key for all plurals of a text."""
    texts = catalogue(language)
    plural = {key.removesuffix(".other") for key in texts if key.endswith(".other")}
    singular = {f"{key}.one" for key in plural}
    return {key.removesuffix(".other"): text for key, text in texts.items() if key not in singular}


def fields(text: str) -> set[str]:
    """Return the names of the values that a text wants."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name} - OF_THE_UNIT


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_each_sentence_is_in_each_language_with_the_same_values(language: str) -> None:
    english, other = whole("en"), whole(language)
    assert set(other) == set(english)
    assert {key: fields(text) for key, text in other.items()} == {
        key: fields(text) for key, text in english.items()
    }
    # Not merely copied: what is the same is a name, or holds nothing but signs.
    same = {key for key in other if other[key] == english[key]}
    assert {key for key in same if re.search("[A-Za-z]{2}", re.sub(r"\{[^{}]*\}", "", other[key]))} <= {
        "figures.karp_flatt",
        "pis.pi",
        "pis.server",
        "method.pythons",
        "method.kubelet",
        "clock.x",
        "unit.megahertz",
        "what.python",
        "terminal.label_job",
        "fact.tool",
        "fact.worker",
    }


def test_chinese_has_no_blank_after_its_own_punctuation() -> None:
    texts = catalogue("zh-TW")
    assert [key for key, text in texts.items() if re.search("[、。，；：（] ", text)] == []


def test_what_a_check_looks_for_follows_chinese_without_a_blank() -> None:
    texts = catalogue("zh-TW")
    titles = {key: text for key, text in texts.items() if re.fullmatch(r"check\.\w+\.title", key)}
    assert [key for key, text in titles.items() if not "\u4e00" <= text[0] <= "\u9fff"] == []


def test_each_sentence_is_used() -> None:
    unused = []
    for key in whole("en"):
        # A key may be put together of the beginnings of it and a model's word.
        parts = key.split(".")
        starts = [".".join(parts[:count]) + "." for count in range(1, len(parts))]
        last = parts[-1].rpartition("_")[0]
        starts += [starts[-1] + last + "_"] if last else []
        names = [f'"{key}"', f'f"{{name}}.{parts[-1]}"', *(f'"{start}" ~' for start in starts)]
        names += [f"f{quote}{start}{{" for start in starts for quote in "\"'"]
        if not any(name in CODE for name in names):
            unused.append(key)
    assert unused == []


def test_each_sentence_that_the_code_names_is_there() -> None:
    sections = "|".join({key.partition(".")[0] for key in catalogue("en")})
    named = set(re.findall(rf'"((?:{sections})(?:\.[a-z_]+)+)"', CODE))
    assert {name for name in named if not name.endswith((".css", ".json"))} <= set(whole("en"))


def test_each_check_and_control_has_its_words() -> None:
    texts = whole("en")
    titles = {key for key in texts if key.startswith("check.") and key.endswith(".title")}
    assert titles == {f"check.{entry.code}.title" for entry in CHECKS}
    assert {f"control.{name}" for name in get_args(ControlName)} <= set(texts)


def test_a_message_is_its_english_text_and_can_be_said_in_chinese() -> None:
    found = Message(
        "terminal.flag",
        found=Message(
            "check.found", found=[Message("check.starved.got", who="pi-2", used=0.5, budget=1.0)] * 7
        ),
        code="starved",
        meaning=Message("check.no_round"),
    )
    assert found.startswith("pi-2 got 0.50 of its 1.00 cores; pi-2 got") and found.endswith(
        "and 2 more [starved]. no round is complete"
    )
    said = Catalogue("zh-TW").say(found)
    assert said.startswith("pi-2 只得到 1.00 個核心中的 0.50 個；")
    assert said.endswith("，另有 2 項 [starved]。沒有任何一輪完整量測")
    assert Catalogue("zh-TW").say("x {names} y") == "x {names} y"


@pytest.mark.parametrize(
    ("language", "count", "words"),
    [("en", 1, "1 round"), ("en", 7, "7 rounds"), ("en", 0, "0 rounds"), ("zh-TW", 1, "1 輪")],
    ids=["one", "several", "none", "a language without plurals"],
)
def test_a_noun_is_counted_as_the_language_does(language: str, count: int, words: str) -> None:
    assert Catalogue(language).count("round", count) == words


def test_what_is_filled_in_is_no_format() -> None:
    assert Message("where.left_out", pi="{0.__class__}", why="{why!r}") == "{0.__class__} ({why!r})"


def test_a_language_that_there_is_not_is_refused() -> None:
    with pytest.raises(ProblemError, match="language: 'tlh' is not en or zh-TW"):
        Catalogue("tlh")


# What the program that estimates pi is about, and identifiers.
OF_PI = {"workload/pi.py", "report/workload/pi.py"}


def test_only_the_table_of_units_names_them() -> None:
    """No sentence in the code, nor in the catalogue but for π's, says what a program's work is counted in."""
    said = []
    for path in SOURCE.rglob("*.py"):
        if str(path.relative_to(SOURCE)) in OF_PI:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
        texts = [node.value for node in found if isinstance(node.value, str)]
        # A name of something has no blank in it.
        said += [text for text in texts if " " in text.strip() and re.search(r"\bsamples?\b", text)]
    for language in LANGUAGES:
        for key, text in catalogue(language).items():
            of_pi = key.startswith(("unit.", "pi.", *(f"check.{code}." for code in ("counts", "replay"))))
            if not of_pi and re.search(r"\bsamples?\b|樣本", re.sub(r"\{[^{}]*\}|benchmark_\w+", "", text)):
                said.append(f"{key}: {text}")
    assert said == []


@pytest.mark.parametrize("unit", ["sample", "run", "job"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_is_counted_in_its_own_unit(language: str, unit: Unit) -> None:
    words = Catalogue(language, unit)
    names = catalogue(language)
    assert names[f"unit.{unit}.units"] in words("trials.alone_long", pi="pi-1")
    assert words.work(7) == names[f"unit.{unit}.other"].format(count=7)
    # Samples a second, but runs and jobs an hour.
    shown, on_axis = ("720", 0.00072) if unit == "sample" else ("2,592,000", 2_592_000)
    assert words.rate(720) == names[f"unit.{unit}.rate"].format(value=shown)
    assert words.on_axis(720) == pytest.approx(on_axis)
    assert words.rate_number(0.002) == ("0.0" if unit == "sample" else "7.2")
