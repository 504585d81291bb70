"""`hsi-ssl catalog`: known data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options
from .output import Terminal

if TYPE_CHECKING:
    from hsi_ssl.catalog.entries import Entry, Located


@click.group("catalog", short_help="Known data sets: list, show, fetch.")
def command() -> None:
    """Known data sets, in the folder HSI_SSL_DATA or in the platform's cache folder."""


@command.command("list")
@options.common
def list_entries(project: object, terminal: Terminal) -> None:
    """List the data sets and say which are here."""
    from hsi_ssl.catalog.entries import entries

    cards = [_card(entry) for entry in entries().values()]
    rows = [(c["name"], c["title"], str(c["classes"] or "?"), c["size"], _where(c)) for c in cards]
    header = ("name", "what", "classes", "size", "here")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    terminal.result({"entries": cards}, *lines)


@command.command("show")
@click.argument("name")
@options.common
def show(name: str, project: object, terminal: Terminal) -> None:
    """Tell all about the data set NAME: files, classes, licence, citation."""
    from hsi_ssl.catalog.entries import entry, locate

    known = entry(name)
    located = locate(known)
    card = _card(known) | {
        "description": " ".join(known.description.split()),
        "format": known.format,
        "licence": known.licence,
        "citation": " ".join(known.citation.split()),
        "homepage": known.homepage,
        "missing": list(located.missing),
        "wavelengths_nm": known.wavelengths_nm,
        "wavelengths_note": known.wavelengths_note and " ".join(known.wavelengths_note.split()),
        "scenes": [str(located.folder / scene.cube) for scene in located.scenes],
        "label_sets": [
            {"range": s.range, "ignore": s.ignore, **s.label_set().to_card()}
            for s in known.label_sets
        ],
    }
    terminal.result(card, *_page(known, located, card))


@command.command("fetch")
@click.argument("name")
@options.common
def fetch(name: str, project: object, terminal: Terminal) -> None:
    """Get the data set NAME, unless it is here already, into the folder HSI_SSL_DATA.

    No other command writes there: what they need and do not find goes to the platform's cache
    folder, which is also the place where HSI_SSL_DATA is not set.
    """
    from hsi_ssl.catalog.entries import entry, locate
    from hsi_ssl.catalog.entries import fetch as fetch_entry

    known = entry(name)
    was_here = locate(known).complete
    located = fetch_entry(known, to_data_folder=True, watcher=terminal)
    terminal.result(
        {"name": name, "folder": str(located.folder), "was_here": was_here, "bytes": located.size},
        f"{known.title} {'was' if was_here else 'is'} in {located.folder} "
        f"({located.size / 1e6:,.0f} MB)",
        f"now: hsi-ssl prepare {name}",
    )


def _card(known: Entry) -> dict[str, Any]:
    """What the list says of an entry."""
    from hsi_ssl.catalog.entries import locate

    located = locate(known)
    return {
        "name": known.name,
        "title": known.title,
        "classes": len(known.label_sets[0].classes) or None,
        "size": known.size,
        "origin": known.origin,
        "here": located.complete,
        "folder": str(located.folder) if located.complete else None,
    }


def _where(card: dict[str, Any]) -> str:
    if card["here"]:
        return "yes"
    return {
        "download": "no, can be fetched",
        "simulator": "no, simulates itself",
        "tensorly": "no, comes with tensorly",
        "own": "no, yours to add",
    }[card["origin"]]


def _page(known: Entry, located: Located, card: dict[str, Any]) -> list[str]:
    """The entry for people."""
    from textwrap import fill

    def about(word: str, text: str) -> str:
        return fill(text, 92, initial_indent=f"{word:10}", subsequent_indent=" " * 10)

    lines = [
        f"{known.title} ({known.name})",
        fill(card["description"], 92),
        "",
        about("format", f"{known.format}, {known.size}"),
        about("here", f"yes, in {located.folder}" if located.complete else _where(card)),
    ]
    if known.howto and not located.complete:
        lines.append(about("to get it", " ".join(known.howto.split())))
    if card["wavelengths_note"]:
        lines.append(about("bands", f"wavelengths {card['wavelengths_note']}"))
    lines += [about("licence", known.licence), about("citation", card["citation"])]
    for label_set in known.label_sets:
        codes = f"codes {label_set.range[0]}-{label_set.range[1]}, names not known"
        lines += ["", f"label set {label_set.name}" + ("" if label_set.classes else f": {codes}")]
        lines += [
            f"{code:5}  {_swatch(colour)}  {name}" for code, name, colour in label_set.classes
        ]
    return lines


def _swatch(colour: str) -> str:
    """The colour itself where the terminal shows colours, and its number."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return click.style("  ", bg=(red, green, blue)) + f" {colour}"
