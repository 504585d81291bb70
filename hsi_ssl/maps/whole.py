"""The mosaic of many maps, made, or left where it is of the same maps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hsi_ssl.claims import claimed
from hsi_ssl.errors import OutputError
from hsi_ssl.files import refuse_taken
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.maps.class_map import outputs
from hsi_ssl.maps.mosaic import mosaic_outputs, write_mosaic
from hsi_ssl.maps.records import Facts, kept_result, of_file, record_path
from hsi_ssl.maps.windows import asked_layers

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings


@contextlib.contextmanager
def claim_mosaic(path: Path, settings: ClassifySettings, *, overwrite: bool) -> Iterator[None]:
    """Claim a mosaic before its maps are made.

    Raises
    ------
    OutputError
        It is there and has no record, and may not be replaced; another run writes it.
    """
    with claimed(path):
        if not record_path(path).exists():
            refuse_taken(mosaic_outputs(path, asked_layers(settings)).values(), overwrite)
        yield


def mosaic_of(
    path: Path,
    maps: Sequence[Path],
    label_set: LabelSet,
    settings: ClassifySettings,
    overwrite: bool,
) -> None:
    """Write the mosaic of finished maps, which is claimed, unless it is of these maps already.

    Raises
    ------
    OutputError
        It is there, of other maps; the disk is full.
    """
    layers = asked_layers(settings)
    facts: Facts = {"maps": {one.name: of_file(record_path(one)) for one in maps}}
    if path.exists() and not overwrite:
        kept, why = kept_result(path, facts)
        if kept is not None:
            return
        raise OutputError(
            f"{path} exists already and {why}; pass --overwrite to replace it, or name another"
        )
    write_mosaic(
        path,
        maps,
        label_set,
        layers={layer: [outputs(one, layers)[layer] for one in maps] for layer in layers},
        made_of=facts,
        overwrite=overwrite,
    )
