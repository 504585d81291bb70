"""What a map was made of, kept beside it, so that who would make it again knows that it is there.

A record, `<map>.record.json`, tells the scene's file by fingerprint, size and time, the other files
that it is read from, what was read of it, the model by checksums, the settings without places, and
the files that were made. The map itself names none of what says where, when and how it was made:
its bytes are the same wherever.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_ssl.files import FINGERPRINT_BLOCK, FINGERPRINT_BLOCKS, fingerprint, folder_fingerprint
from hsi_ssl.inference.checkpoint import DISCOVERED
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.json_text import parsed
from hsi_ssl.labels.vectors import vector_file
from hsi_ssl.scenes.beside import files_beside
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.virtual import identity, is_virtual

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings

ENDING = ".record.json"
ABOUT_RUNNING = {"output", "workers", "scheduler", "shard", "device"}
"""Settings that say where a map goes and how the work is done, not what the map is."""
PLACES = {"scenes", "model", "area", "wavelengths", "mask", "mask_out"}
"""Settings that say where files lie, which are told by what they hold."""
WHOLE = FINGERPRINT_BLOCKS * FINGERPRINT_BLOCK
"""Bytes of a file whose fingerprint is of all of it."""
Facts = dict[str, Any]


def record_path(path: Path) -> Path:
    """Where the record of the map at `path` goes."""
    return path.with_name(path.stem + ENDING)


def made_of(scene: Scene, classifier: Classifier, settings: ClassifySettings) -> Facts | None:
    """All that a map depends on; None for a scene that is no file, which nobody knows again."""
    scene_facts = _of_scene(scene)
    if scene_facts is None:
        return None
    given = [settings.area, settings.wavelengths, *settings.mask, *settings.mask_out]
    return {
        "scene": scene_facts,
        "model": {
            "weights": classifier.card["weights_sha256"],
            "card": _digest(json.dumps(classifier.card, sort_keys=True, default=str)),
            "discovered": of_file(settings.model / DISCOVERED),
        },
        "label set": classifier.label_set.name,
        "settings": settings.model_dump(mode="json", exclude=ABOUT_RUNNING | PLACES),
        "given files": [of_file(path) for path in given if path is not None],
    }


def write_record(place: Path, facts: Facts, files: Iterable[Path], result: Facts) -> None:
    """Write a record: of what it is made, what was made, and what is to be told of it again."""
    made = {path.name: of_file(path) for path in sorted(files) if path.exists()}
    content = {"made of": facts, "files": made, "result": result}
    place.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def scene_recorded(path: Path) -> Facts | None:
    """What the record of the map at `path` tells of its scene's file; None where there is none."""
    try:
        found = parsed(record_path(path).read_bytes())["made of"]["scene"]
        return {"size": found["size"], "fingerprint": found["fingerprint"]}
    except (OSError, ValueError, LookupError, TypeError):
        return None


def kept_result(path: Path, facts: Facts | None) -> tuple[Facts | None, str]:
    """What the record of the map at `path` tells, if it would be made of the same; else why not."""
    place = record_path(path)
    if facts is None:
        return None, "its scene is no file, so that nobody can tell whether it is the same"
    try:
        record = parsed(place.read_bytes())
        known, files, result = record["made of"], dict(record["files"]), dict(record["result"])
        known = dict(known)
    except FileNotFoundError:
        return None, f"no record ({place.name}) tells what it was made of"
    except (OSError, ValueError, LookupError, TypeError):
        return None, f"its record {place.name} cannot be read"
    other = [name for name, value in facts.items() if known.get(name) != value]
    if other:
        return None, "was made with " + _difference(other[0], known.get(other[0]), facts[other[0]])
    for name, told in files.items():
        if of_file(path.with_name(name)) != told:
            return None, f"{name} is not as it was made"
    return result, ""


def _difference(what: str, before: Any, now: Any) -> str:
    """Two facts of one name that differ, in words."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [key for key in now if before.get(key) != now[key]] or list(before.keys() - now)
        key = keys[0]
        if what == "settings":
            return f"{key} = {_short(before.get(key))}, now {_short(now.get(key))}"
        was = "were others" if key == "files beside it" else "was another"
        return f"another {what}: its {key} {was}"
    return f"another {what}" if what == "label set" else f"other {what}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."  # noqa: PLR2004


def _of_scene(scene: Scene) -> Facts | None:
    """A scene's file, and what was read of it; None where there is no file."""
    if not is_virtual(scene.path) and not scene.path.exists():
        return None
    return {
        "name": scene.path.name,
        **identity(scene),
        "time": _time(scene.path),
        "files beside it": {
            os.path.relpath(path, scene.path.parent): _beside(path)
            for path in files_beside(scene.path)
        },
        "reading": _digest(repr(_read(scene))),
    }


def _beside(path: Path) -> list[Any]:
    """A file beside the cube's: of one whose fingerprint is not of all of it, the time too."""
    found = of_file(path) or []
    whole = path.is_file() and path.stat().st_size <= WHOLE
    return found if whole else [*found, _time(path)]


def _read(scene: Scene) -> list[Any]:
    """What a scene's header and the files beside it say, whichever of them does."""
    units, grid = scene.units, scene.map_grid
    return [
        (scene.rows, scene.cols, scene.bands, str(scene.dtype), scene.nodata, scene.good.tolist()),
        None if scene.wavelengths_nm is None else scene.wavelengths_nm.tolist(),
        None if scene.fwhm_nm is None else scene.fwhm_nm.tolist(),
        None if units is None else (units.scale.tolist(), units.offset.tolist(), units.kind),
        (grid.crs, grid.transform, grid.control_points, grid.rpcs),
        sorted(scene.layers),
    ]


def of_file(path: Path) -> list[Any] | None:
    """Size and fingerprint of a file or a folder, None where there is none."""
    file = vector_file(path)
    if file.is_dir():
        return list(folder_fingerprint(file))
    if not file.is_file():
        return None
    found = [file.stat().st_size, fingerprint(file)]
    if file != path:  # a layer of it
        found.append(str(path)[len(str(file)) :])
    prj = file.with_suffix(".prj")
    return [*found, fingerprint(prj)] if file.suffix.lower() == ".shp" and prj.is_file() else found


def _time(path: Path) -> int | None:
    """When a file, or the newest in a folder, was changed last, in nanoseconds."""
    if is_virtual(path):
        return None
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max(file.stat().st_mtime_ns for file in files)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
