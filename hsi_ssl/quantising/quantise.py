"""Quantise: from a dataset or scenes to a run folder with its page, and a map of each scene."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_ssl.claims import claimed
from hsi_ssl.datasets.store import Dataset, is_dataset, open_dataset
from hsi_ssl.datasets.unlabelled import draw_unlabelled
from hsi_ssl.errors import SettingsError
from hsi_ssl.files import refuse_existing, written_beside
from hsi_ssl.inference.checkpoint import save_run
from hsi_ssl.inference.device import choose_device
from hsi_ssl.inference.quantising import load_quantiser
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.labels.sources import Sources, resolve
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.maps.places import check_place, claims_of, map_paths
from hsi_ssl.quantising.cluster_map import unit_classes, write_cluster_map
from hsi_ssl.quantising.looks import looks_of, planes_of
from hsi_ssl.quantising.page import PAGE, write_page
from hsi_ssl.quantising.units import units_of
from hsi_ssl.training.quantise_stage import train_quantiser
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import QuantiseSettings

MAP_ENDING = "_units.tif"


@dataclass(frozen=True)
class Quantised:
    """What was made: the run's folder and card, its page, the maps, the units as classes."""

    run: Path
    card: dict[str, Any]
    page: Path
    maps: tuple[Path, ...]
    label_set: LabelSet

    def to_json(self) -> dict[str, Any]:
        """Give what `hsi-ssl quantise --json` prints."""
        return {
            "run": str(self.run),
            "method": self.card["method"],
            "report": str(self.page),
            "maps": [str(path) for path in self.maps],
            **self.card["metrics"],
            **self.card["training"],
        }


def quantise(
    settings: QuantiseSettings, *, overwrite: bool = False, watcher: Watcher = SILENT
) -> Quantised:
    """Learn units from one dataset or from scenes; write run, page and maps, all or nothing.

    Raises
    ------
    SettingsError
        Nothing is named, or a dataset beside something else; planes are asked for that no band is
        in.
    DatasetError, SceneError, SceneNotFoundError, CatalogError, FetchError, BandsError, UnitsError
        What is named cannot be had or used; there are fewer spectra than units.
    LibraryError
        The library is missing, broken or does not cover the bands.
    DeviceError, OutputError
        The device is not there; the output exists, or cannot be written.
    """
    with claimed(settings.run):
        refuse_existing(settings.run, overwrite)
        choose_device(settings.device)
        if settings.library is not None:
            open_library(settings.library)
        return _quantised(settings, overwrite, watcher)


def _quantised(settings: QuantiseSettings, overwrite: bool, watcher: Watcher) -> Quantised:
    if not settings.sources:
        raise SettingsError(
            "nothing to quantise; name one dataset, or scenes: files, folders or data sets of the "
            "catalog"
        )
    datasets = [name for name in settings.sources if is_dataset(Path(name))]
    if datasets and len(settings.sources) > 1:
        raise SettingsError("give one dataset alone, or scenes")
    with ExitStack() as opened:
        if datasets:
            return _write(settings, None, overwrite, watcher)
        sources = opened.enter_context(
            resolve(settings.sources, reading=settings.reading, labelled=False, watcher=watcher)
        )
        return _write(settings, sources, overwrite, watcher)


def map_by_units(
    settings: QuantiseSettings, *, overwrite: bool = False, watcher: Watcher = SILENT
) -> list[Path]:
    """Map scenes by the units of the run that `settings.model` names; nothing is learnt.

    Raises
    ------
    SettingsError
        No scene is named, or a dataset.
    ModelError, DeviceError
        The run or the device is not there.
    SceneError, SceneNotFoundError, CatalogError, FetchError, BandsError, UnitsError, OutputError
        As `write_cluster_map`; a map exists already.
    """
    assert settings.model is not None
    if not settings.sources or any(is_dataset(Path(name)) for name in settings.sources):
        raise SettingsError(
            "--model maps scenes by the units of a run; name scenes: files, folders or data sets "
            "of the catalog"
        )
    trained = load_quantiser(settings.model, settings.device)
    label_set = LabelSet.from_card(trained.card["units"])
    with resolve(
        settings.sources, reading=settings.reading, labelled=False, watcher=watcher
    ) as sources:
        scenes = [source.scene for source in sources.scenes]
        maps = map_paths(scenes, settings.output, ending=MAP_ENDING)
        inputs = [scene.path for scene in scenes]
        with claimed(*claims_of(maps)):
            for scene, path in zip(scenes, maps, strict=True):
                check_place(path, (), scene.map_grid, inputs, stac=False, overwrite=overwrite)
            for scene, path in zip(scenes, maps, strict=True):
                write_cluster_map(
                    scene, trained, label_set, settings, path, overwrite=overwrite, watcher=watcher
                )
    return maps


def _write(
    settings: QuantiseSettings, sources: Sources | None, overwrite: bool, watcher: Watcher
) -> Quantised:
    """Write all that is made of scenes, or of the dataset that the settings name."""
    run = settings.run
    with written_beside(run, overwrite=overwrite) as beside:
        beside.mkdir()
        dataset = _dataset(settings, sources, beside.parent / "drawn.h5", watcher)
        planes = planes_of(dataset, settings)
        named = ", ".join(settings.sources)
        trained = train_quantiser(settings, dataset, named=named, watcher=watcher)
        units = units_of(trained, dataset, dataset.learnt_rows, settings.library)
        for note in units.notes:
            watcher.say(note)
        label_set = unit_classes(trained, units)
        scenes = [source.scene for source in sources.scenes] if sources else []
        maps = map_paths(scenes, beside, ending=MAP_ENDING)
        for scene, path in zip(scenes, maps, strict=True):
            write_cluster_map(scene, trained, label_set, settings, path, watcher=watcher)
        looks = looks_of(trained, dataset, units, planes, settings.nearest)
        write_page(beside, settings, trained, units, looks, label_set, dataset.wavelengths_nm, maps)
        card = save_run(
            beside, trained.model.state_dict(), {**trained.card, "units": label_set.to_card()}
        )
    placed = tuple(run / path.name for path in maps)
    return Quantised(run, card, run / PAGE, placed, label_set)


def _dataset(
    settings: QuantiseSettings, sources: Sources | None, drawn: Path, watcher: Watcher
) -> Dataset:
    """The dataset that is named, or one drawn from scenes."""
    if sources is None:
        return open_dataset(Path(settings.sources[0]))
    return draw_unlabelled(
        sources,
        drawn,
        pixels=settings.pixels,
        scaling=settings.scaling,
        components=settings.components,
        seed=settings.seed,
        watcher=watcher,
    )
