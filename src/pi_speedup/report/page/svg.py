"""Matplotlib's SVG made fit for a page: no style attribute, colours by class, each mark with its data.

The page's Content-Security-Policy allows one style sheet and no style attribute. So declarations become
presentation attributes, and colours become classes, which the style sheet fills for light, dark and print.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from pi_speedup.text import one_line

_LONGEST_TEXT = 4096
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
# Drawn in these, which no chart uses for itself, and named in the style sheet: .f-ink, .s-ink and so on.
COLOURS = {
    name: f"#0000{number:02x}"
    for number, name in enumerate(
        ("ink", "muted", "line", "paper", "accent", "soft", "second", "good", "warn", "bad"), start=1
    )
}
_NAMES = {colour: name for name, colour in COLOURS.items()}
_NUMBER = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_DRAWN = {f"{{{_SVG}}}{tag}" for tag in ("path", "use", "text")}
# Fonts are the page's, the joins those of its style sheet.
_DROPPED = {"font-family", "font", "stroke-linejoin"}

Data = Mapping[str, str | float | int]


def clean(
    text: str, prefix: str, title: str, description: str, marks: Mapping[str, Sequence[tuple[Data, str]]]
) -> str:
    """Return an SVG element for a page.

    prefix: begins each id, since a page has several charts. marks: by an artist's gid, for each thing that it
    draws the attributes `data-…` and the words that a pointer shows. ValueError if it draws another number.
    """
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(text.encode())  # nosec B314  # written by matplotlib a moment ago
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    groups = {element.get("id"): element for element in root.iter(f"{{{_SVG}}}g")}
    for gid, each in marks.items():
        _attach(groups[gid], each)
    _rename(root, prefix)
    for element in root.iter():
        _plain_style(element)
        _short(element)
    _collapse(root)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    root.set("focusable", "false")
    for place, (tag, words) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{prefix}-{tag}"})
        element.text = one_line(words, _LONGEST_TEXT)
        root.insert(place, element)
    return re.sub(r"\s*\n\s*", "", ElementTree.tostring(root, encoding="unicode"))


def _attach(group: ElementTree.Element, marks: Sequence[tuple[Data, str]]) -> None:
    hidden = {id(found) for defs in group.iter(f"{{{_SVG}}}defs") for found in defs.iter()}
    drawn = [found for found in group.iter() if found.tag in _DRAWN and id(found) not in hidden]
    if len(drawn) != len(marks):
        raise ValueError(f"{group.get('id')} draws {len(drawn)} things, not {len(marks)}")
    for element, (data, words) in zip(drawn, marks, strict=True):
        for name, value in data.items():
            shown = repr(value) if isinstance(value, float) else one_line(value, _LONGEST_TEXT)
            element.set(f"data-{name}", shown)
        if words:
            title = ElementTree.SubElement(element, f"{{{_SVG}}}title")
            title.text = one_line(words, _LONGEST_TEXT)


def _rename(root: ElementTree.Element, prefix: str) -> None:
    """Give the ids that something refers to a prefix, and remove the others."""
    used: set[str] = set()
    for element in root.iter():
        used.update(found for value in element.attrib.values() for found in _REFERENCE.findall(value))
        used.add(element.get(f"{{{_XLINK}}}href", "#")[1:])
    short = {old: f"{prefix}-{number}" for number, old in enumerate(sorted(used - {""}))}
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id":
                if value in short:
                    element.set(name, short[value])
                else:
                    del element.attrib[name]
            elif name == f"{{{_XLINK}}}href":
                del element.attrib[name]
                element.set("href", f"#{short[value[1:]]}")
            elif not name.startswith("data-"):
                element.set(name, _REFERENCE.sub(lambda found: f"url(#{short[found[1]]})", value))


def _plain_style(element: ElementTree.Element) -> None:
    found = {}
    for declaration in element.attrib.pop("style", "").split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    # A pattern's ground has a fill of its own.
    for own in ("fill", "stroke"):
        if own in element.attrib:
            found[own] = element.attrib.pop(own)
    classes = []
    for name, value in found.items():
        if name in ("fill", "stroke") and value in _NAMES:
            classes.append(f"{name[0]}-{_NAMES[value]}")
        elif name == "font-size":
            element.set(name, value.removesuffix("px"))
        elif name not in _DROPPED:
            element.set(name, value)
    if classes:
        element.set("class", " ".join(classes))


def _short(element: ElementTree.Element) -> None:
    for name in ("d", "x", "y", "transform", "points", "viewBox"):
        value = element.get(name)
        if value is None:
            continue
        if name == "transform" and re.match(r"rotate\(-?0 ", value):
            del element.attrib[name]
            continue
        value = _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)
        element.set(name, " ".join(value.split()))


def _collapse(element: ElementTree.Element) -> None:
    """Remove groups that say nothing, so that what they hold takes their place."""
    for child in list(element):
        _collapse(child)
        if child.tag == f"{{{_SVG}}}g" and not child.attrib:
            place = list(element).index(child)
            element.remove(child)
            for offset, grandchild in enumerate(list(child)):
                element.insert(place + offset, grandchild)
        elif child.tag == f"{{{_SVG}}}defs" and len(child) == 0:
            element.remove(child)
