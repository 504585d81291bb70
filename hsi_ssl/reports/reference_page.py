"""The report on class maps against a reference: one page, the same numbers as JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hsi_ssl.checksums import sealed
from hsi_ssl.errors import SettingsError
from hsi_ssl.files import written_beside
from hsi_ssl.labels.vectors import vector_file
from hsi_ssl.reports.areas import Z
from hsi_ssl.reports.html import page
from hsi_ssl.reports.intervals import WORDS
from hsi_ssl.reports.map_accuracy import MapAccuracy
from hsi_ssl.reports.metrics import number
from hsi_ssl.reports.next_steps import after_reference
from hsi_ssl.reports.reference import reference_words
from hsi_ssl.scenes.names import name_of
from hsi_ssl.scenes.virtual import is_virtual

ACCURACY = "_accuracy"
AREA = ["mapped", "estimated", "standard_error", "users_accuracy", "producers_accuracy"]


def reference_folder(maps: Sequence[Path], reference: Path) -> Path:
    """Where the report goes: beside the map, or of several maps beside the reference."""
    one = maps[0] if len(maps) == 1 else vector_file(reference)
    name = f"{one.name.split('.')[0]}{ACCURACY}"
    return Path(name) if is_virtual(one) else one.with_name(name)


def reference_json(found: MapAccuracy, reference: Path) -> dict[str, Any]:
    """What is known of one map, as JSON: `areas` as `hsi-ssl evaluate --map` gives them."""
    answer = found.to_json()
    scores, taken = found.scores, found.counts.sum(axis=0)
    return {
        "map": answer["map"],
        "reference": str(reference),
        "n": found.n,
        "not_classified": found.not_classified,
        **answer["accuracy"],
        "intervals": answer["intervals"],
        "classes": [
            {
                "code": c.code,
                "name": c.name,
                "reference": int(scores.totals[k]),
                "mapped": int(taken[k]),
                "users_accuracy": number(scores.precision[k]),
                "producers_accuracy": number(scores.recall[k]),
                "f1": number(scores.f1[k]),
                **found.intervals.of(k),
            }
            for k, c in enumerate(found.label_set.classes)
        ],
        "confusion": answer["confusion"],
        "further": answer["further"],
        "areas": [{"map": answer["map"], "n": found.n, **found.areas_json}],
        "notes": answer["notes"],
        "warnings": list(reference_words(found)),
    }


def write_reference_report(
    found: Sequence[MapAccuracy], reference: Path, folder: Path, *, overwrite: bool = False
) -> Path:
    """Write index.html, metrics.json and per_class, confusion and areas as CSV, all or nothing.

    Of several maps the tables are in a folder of each map's name. Returns the page's path.

    Raises
    ------
    OutputError
        The folder exists and `overwrite` is false, or cannot be written.
    SettingsError
        Two maps have one name.
    """
    answers = [reference_json(one, reference) for one in found]
    names = table_names([one.path for one in found])
    html = page(
        "reference.html",
        maps=found,
        answers=answers,
        reference=reference,
        kinds=WORDS,
        z=Z,
        steps=after_reference(found),
        warnings=list(dict.fromkeys(w for a in answers for w in a["warnings"])),
    )
    metrics: dict[str, Any] = answers[0] if len(found) == 1 else {"maps": answers}
    with written_beside(folder, overwrite=overwrite) as beside:
        beside.mkdir()
        (beside / "index.html").write_text(html, encoding="utf-8")
        text = json.dumps(sealed(metrics), indent=1, allow_nan=False)
        (beside / "metrics.json").write_text(text + "\n", encoding="utf-8")
        for one, answer, name in zip(found, answers, names, strict=True):
            place = beside if len(found) == 1 else beside / name
            place.mkdir(exist_ok=True)
            _write_csv(place / "per_class.csv", _class_rows(answer))
            _write_csv(place / "confusion.csv", _confusion_rows(one))
            _write_csv(place / "areas.csv", _area_rows(answer))
    return folder / "index.html"


def table_names(maps: Sequence[Path]) -> list[str]:
    """A name for each map's tables.

    Raises
    ------
    SettingsError
        Two maps have one name.
    """
    names = [name_of(path) for path in maps]
    if len(set(names)) < len(names):
        names = [path.name for path in maps]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SettingsError(
            f"two maps are called {twice}: their tables would be one; rename one, or judge them "
            "one by one"
        )
    return names


def _class_rows(answer: dict[str, Any]) -> Iterator[list[Any]]:
    pairs = {f"{name}_interval": (f"{name}_low", f"{name}_high") for name in ("recall", "f1")}
    for c in answer["classes"][:1]:
        yield [column for key in c for column in pairs.get(key, (key,))]
    for c in answer["classes"]:
        both = ((value or (None, None)) if key in pairs else (value,) for key, value in c.items())
        yield [value for some in both for value in some]


def _confusion_rows(found: MapAccuracy) -> Iterator[list[Any]]:
    """Rows are true, columns mapped classes, both by the map's code; those that are none last."""
    codes = [*found.label_set.codes.tolist(), *(c.code for c in found.further)]
    yield ["true code", "true name", *(f"mapped {code}" for code in codes)]
    for label, line in zip(found.label_set.classes, found.counts.tolist(), strict=True):
        yield [label.code, label.name, *line]


def _area_rows(answer: dict[str, Any]) -> Iterator[list[Any]]:
    yield ["map", "unit", "code", "name", *AREA]
    for one in answer["areas"]:
        for c, known in zip(one["classes"], answer["classes"], strict=True):
            yield [one["map"], one["unit"], c["code"], known["name"], *(c[key] for key in AREA)]
        for c in answer["further"]:
            yield [one["map"], one["unit"], c["code"], c["name"], c["mapped"], *4 * [None]]


def _write_csv(path: Path, rows: Iterator[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
