"""The mosaic of many maps, made, or left where it is of the same maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hsi_ssl.errors import OutputError
from hsi_ssl.files import refuse_taken
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.maps.class_map import outputs
from hsi_ssl.maps.mosaic import mosaic_outputs, withdraw_mosaic, write_mosaic
from hsi_ssl.maps.records import Facts, kept_result, of_file, record_path
from hsi_ssl.maps.windows import asked_layers

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings


def make_way(
    path: Path, maps: Sequence[Path], settings: ClassifySettings, *, overwrite: bool
) -> None:
    """Before its maps are made, have a mosaic, which is claimed, show none that changes.

    One that is to be replaced goes; another must be of these maps as they are.

    Raises
    ------
    OutputError
        It is there, of other maps, and may not be replaced.
    """
    places = mosaic_outputs(path, asked_layers(settings)).values()
    if overwrite:
        refuse_taken(places, overwrite)
        withdraw_mosaic(path)
    elif not _is_of(path, maps):
        refuse_taken(places, overwrite)


def mosaic_of(
    path: Path, maps: Sequence[Path], label_set: LabelSet, settings: ClassifySettings
) -> None:
    """Write the mosaic of finished maps, which is claimed, unless it is of these maps already.

    Raises
    ------
    OutputError
        It is there, of other maps; the disk is full.
    """
    layers = asked_layers(settings)
    if _is_of(path, maps):
        return
    write_mosaic(
        path,
        maps,
        label_set,
        layers={layer: [outputs(one, layers)[layer] for one in maps] for layer in layers},
        made_of=_facts(maps),
    )


def _facts(maps: Sequence[Path]) -> Facts:
    return {"maps": {one.name: of_file(record_path(one)) for one in maps}}


def _is_of(path: Path, maps: Sequence[Path]) -> bool:
    """Whether a mosaic is there and is of these maps.

    Raises
    ------
    OutputError
        It is of others.
    """
    if not path.is_file():
        return False
    kept, why = kept_result(path, _facts(maps))
    if kept is None or not all(one.is_file() for one in maps):
        raise OutputError(
            f"{path} exists already and {why or 'one of its maps is not there'}; pass --overwrite "
            "to replace it, or name another"
        )
    return True
