"""A dataset without any label: pixels drawn from scenes, for what learns from spectra alone.

Pixels are drawn as `prepare` draws its pool, by small tiles, so that a file is not read pixel by
pixel; each valid one is equally likely.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.bands import Bands, same_bands, used_bands
from hsi_ssl.datasets.facts import facts_of
from hsi_ssl.datasets.learnt_numbers import LearntNumbers
from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.datasets.one_unit import in_one_unit
from hsi_ssl.datasets.reading import Spectra
from hsi_ssl.datasets.sampling import TilePool
from hsi_ssl.datasets.scaling import fit_scaler, rows_to_fit
from hsi_ssl.datasets.store import Dataset, open_dataset, writing_dataset
from hsi_ssl.datasets.taking import Taker
from hsi_ssl.errors import SceneError
from hsi_ssl.labels.label_set import UNLABELLED, LabelSet
from hsi_ssl.labels.sources import Sources
from hsi_ssl.running.places import Here
from hsi_ssl.watcher import SILENT, Watcher

TILE = 8
NO_LABELS = LabelSet("none", ())


def draw_unlabelled(
    sources: Sources,
    path: Path,
    *,
    pixels: int,
    scaling: str = "noise",
    components: int = 30,
    seed: int = 0,
    watcher: Watcher = SILENT,
) -> Dataset:
    """Dataset of at most so many pixels of scenes that are open, with a scaling fitted on them.

    Raises
    ------
    BandsError, UnitsError
        The scenes' bands differ, or their numbers are in different units.
    SceneError
        A scene holds no measurement, or they are pictures.
    DatasetError
        The scaling cannot be fitted: all spectra are equal, say.
    OutputError
        `path` exists or cannot be written.
    """
    if sources.image_like:
        raise SceneError(
            f"{sources.title} holds pictures, no scenes; make a dataset with `hsi-ssl prepare`"
        )
    bands = same_bands([source.scene for source in sources.scenes], watcher)
    sources = in_one_unit(sources, watcher)
    scenes = [source.scene for source in sources.scenes]
    pool_rng, band_rng, fit_rng = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
    nobody = [np.broadcast_to(np.int16(UNLABELLED), (s.rows, s.cols)) for s in scenes]
    used = used_bands(scenes, nobody, band_rng, watcher)
    with writing_dataset(
        path, bands=int(used.sum()), dtype=np.result_type(*(scene.dtype for scene in scenes))
    ) as writer:
        taker = Taker(Spectra(scenes, used, Here()), writer, watcher, [0])
        anywhere = [np.ones((scene.rows, scene.cols), bool) for scene in scenes]
        taker.take_pool(TilePool(anywhere, TILE, pool_rng), pixels)
        if not taker.taken:
            raise SceneError(f"{scenes[0].path} has no valid pixel; check its nodata and its bands")
        taker.refuse_empty_scenes()
        rows = taker.rows()
        spectra = writer.spectra(rows_to_fit(np.arange(len(rows.part)), fit_rng))
        scaler = fit_scaler(
            scaling,
            spectra,
            components=components,
            wavelengths=None if bands[0] is None else bands[0][used],
            band_numbers=np.flatnonzero(used).tolist(),
            watcher=watcher,
        )
        writer.finish(
            label=rows.label[:, 0],
            part=rows.part,
            scene=rows.scene,
            pixel=rows.pixel,
            neighbours=neighbour_table(rows.scene, rows.pixel),
            unit=np.full(len(rows.part), -1, np.int32),
            meta={
                **_meta(sources, used, bands, spectra),
                "scaling": scaler.to_card(),
                "seed": seed,
            },
        )
    return open_dataset(path)


def _meta(
    sources: Sources,
    used: npt.NDArray[np.bool_],
    bands: Bands,
    spectra: npt.NDArray[Any],
) -> dict[str, Any]:
    """What the dataset says of its sources; `spectra`: those that its scaling was fitted on."""
    units = sources.scenes[0].scene.units
    return {
        **facts_of(sources, used, bands),
        "numbers": LearntNumbers.of(spectra, units and units.of_bands(used)).to_card(),
        "label_set": NO_LABELS.to_card(),
        "split": {"kind": "pixels"},
        "settings": {},
        "transductive": False,
        "image_like": False,
    }
