"""Texts changed by structure: lines, keys, cells, elements of XML, values of JSON."""

from __future__ import annotations

import json
import random
import re
from xml.etree import ElementTree

from mutating import mutated

SECRET = "@SECRET@"
"""Stands in a mutated file for the path of a file that no command is to read."""
ODD_TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "1e99",
    "nan",
    "inf",
    "true",
    "²",
    "9" * 5000,
    "x",
    "{",
    "}",
    "{}",
    "[1, 2]",
    '"',
    "'",
    ",",
    ";",
    "\x00",
    "\x1b[31m",
    "\ufeff",
    "é",
    "../../x",
    "/etc/passwd",
    "a" * 100_000,
    "1,2,3",
    "None",
    "1;2",
    "=",
    "\t",
    "EPSG:99999",
    "POLYGON ((0 0))",
    "2020-13-45T99:99:99Z",
    "%s",
)
"""What may stand where a text has another."""
ENTITIES = (
    '<!DOCTYPE a [<!ENTITY z "zzzzzzzzzz">'
    + "".join(f'<!ENTITY z{i} "{f"&z{i - 1 or str()};" * 10}">' for i in range(1, 9))
    + "]>",
    f'<!DOCTYPE a [<!ENTITY z8 SYSTEM "file://{SECRET}">]>',
    '<!DOCTYPE a [<!ENTITY z8 "plain">]>',
)
"""A thousand million letters, another file, a word."""
CELL = re.compile(r"[^\s,;={}\[\]\"']+")


def lines_changed(rng: random.Random, text: str) -> tuple[str, str]:
    """Lines are gone, doubled, joined or in another place."""
    lines = text.splitlines(keepends=True) or [""]
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.choice(["gone", "double", "swap", "join", "rest gone", "many", "empty"])
    if kind == "gone":
        del lines[i]
    elif kind == "double":
        lines.insert(j, lines[i])
    elif kind == "swap":
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == "join":
        lines[i] = lines[i].rstrip("\r\n")
    elif kind == "rest gone":
        del lines[i:]
    elif kind == "many":
        lines[i] = lines[i] * rng.choice([10, 1000])
    else:
        lines[i] = "\n"
    return f"line {kind}", "".join(lines)


def value_changed(rng: random.Random, text: str) -> tuple[str, str]:
    """A value of `key = value`, `key: value` is another, or a key is."""
    found = list(re.finditer(r"^([^=:\n]{1,60})([=:])([^\n]*)$", text[:200_000], re.MULTILINE))
    if not found:
        return cell_changed(rng, text)
    place = rng.choice(found)
    group = rng.choice([1, 3, 3, 3])
    new = rng.choice(ODD_TEXTS)
    return f"value {new[:20]!r}", text[: place.start(group)] + new + text[place.end(group) :]


def cell_changed(rng: random.Random, text: str) -> tuple[str, str]:
    """A word or number is another."""
    found = list(CELL.finditer(text[:200_000]))
    if not found:
        return lines_changed(rng, text)
    place, new = rng.choice(found), rng.choice(ODD_TEXTS)
    return f"cell {new[:20]!r}", text[: place.start()] + new + text[place.end() :]


def character_changed(rng: random.Random, text: str) -> tuple[str, str]:
    """A sign that structures is gone, doubled or another."""
    found = [m.start() for m in re.finditer(r"[\n,;={}\[\]\"'<>():/]", text[:200_000])]
    if not found:
        return lines_changed(rng, text)
    i = rng.choice(found)
    new = rng.choice(["", text[i] * 2, rng.choice('\n,;={}[]"<>():\x00²')])
    return f"sign {text[i]!r} -> {new!r}", text[:i] + new + text[i + 1 :]


def of_text(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """A text with one thing changed; its encoding may be another, too."""
    text = content.decode("utf-8", "surrogateescape")
    change = rng.choice(
        [lines_changed, value_changed, value_changed, cell_changed, cell_changed, character_changed]
    )
    what, text = change(rng, text)
    encoding = rng.choice(["utf-8"] * 8 + ["utf-16", "utf-8-sig"])
    try:
        return what, text.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        return what, text.encode("utf-8", "replace")


def of_json(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """JSON with one value changed."""
    what, found = mutated(json.loads(content), rng.randrange(2**32))
    return what, json.dumps(found).encode("utf-8", "surrogatepass")


def of_xml(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """XML with an element or an attribute changed, or with entities."""
    root = ElementTree.fromstring(content)
    every = [(parent, one) for parent in root.iter() for one in parent]
    if not every:
        return of_text(rng, content)
    parent, one = rng.choice(every)
    kind = rng.choice(
        ["gone", "double", "text", "text", "attribute", "tag", "moved", "deep", "entity"]
    )
    if kind == "gone":
        parent.remove(one)
    elif kind == "double":
        parent.append(one)
    elif kind == "text":
        one.text = rng.choice(ODD_TEXTS)
    elif kind == "attribute" and one.attrib:
        name = rng.choice(sorted(one.attrib))
        one.attrib[name] = rng.choice(ODD_TEXTS)
        if rng.random() < 0.3:
            del one.attrib[name]
    elif kind == "moved":
        parent.remove(one)
        root.append(one)
    elif kind == "deep":
        for _ in range(rng.choice([3, 3000])):
            wrapped = ElementTree.Element(one.tag)
            wrapped.append(one)
            one = wrapped
        return f"{kind} {one.tag}", _deep(one)
    elif kind == "entity":
        one.text = "ENTITY-Z8"
    else:
        one.tag = rng.choice(["x", one.tag.lower(), root.tag])
    text = ElementTree.tostring(root).decode()
    if kind == "entity":
        text = rng.choice(ENTITIES) + text.replace("ENTITY-Z8", "&z8;")
    return f"{kind} {one.tag}", ('<?xml version="1.0"?>\n' + text).encode("utf-8", "replace")


def _deep(element: ElementTree.Element) -> bytes:
    """Elements within elements, written without recursion."""
    inner, tags = element, []
    while len(inner) == 1 and inner[0].tag == inner.tag:
        tags.append(inner.tag)
        inner = inner[0]
    name = re.sub(r"\{.*\}", "", element.tag)
    middle = ElementTree.tostring(inner).decode()
    return (f"<{name}>" * len(tags) + middle + f"</{name}>" * len(tags)).encode()
