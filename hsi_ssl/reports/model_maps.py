"""The model's map of a scene at a glance, for the report."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.discovered import MapClasses
from hsi_ssl.labels.label_set import indices_to_codes
from hsi_ssl.maps.bands import ModelBands, match_bands
from hsi_ssl.reports.figures import paint
from hsi_ssl.reports.thumbnails import affordable, read_rows, see_through, shrunk
from hsi_ssl.scenes.scene import Scene

BUDGET = 2**28
"""Bytes of a scene to read for a map at a glance, roughly."""

Picture = npt.NDArray[np.uint8]


def glance(
    classifier: Classifier, classes: MapClasses, scene: Scene, step: int
) -> tuple[str, Picture]:
    """Classify every `step`-th pixel of a scene in both directions: a caption and a picture.

    Raises
    ------
    BandsError
        The scene's bands are not the model's.
    """
    match = match_bands(scene, ModelBands.from_card(classifier.card), resample=True)
    rows, cols = shrunk(scene.rows, scene.cols, step)
    stride = affordable(scene, rows, BUDGET)
    codes = np.zeros((-(-rows // stride), cols), np.int64)
    for first, window in read_rows(scene, step * stride):
        thin = window[:, ::step]
        spectra, valid = match.brought(thin, scene.nodata)
        if len(spectra):
            slots = classifier.posterior(spectra).argmax(1)
            here = codes[first : first + len(thin)]
            here[valid.reshape(here.shape)] = indices_to_codes(
                classes.indices(slots), classes.label_set
            )
    caption = "map by this model, pixel by pixel"
    if step > 1:
        caption += f", one pixel in {step} each way"
    codes = codes.repeat(stride, axis=0)[:rows]
    return caption, see_through(paint(codes, classes.label_set), codes > 0)
