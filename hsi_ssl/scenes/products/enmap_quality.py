"""What EnMAP's quality layers say of pixels, and which of them `--quality` leaves out.

By the flags that SNAP's EnMAP reader knows (from EnMAP's product specification) and what products
hold. Always left out: what `QL_QUALITY_CLASSES` calls background (3). With `strict` also cloud (1
in `QL_QUALITY_CLOUD`), its shadow (1), haze (1) and cirrus (1 thin, 2 medium, 3 thick); what
`QL_QUALITY_TESTFLAGS` calls of low quality (2 in its lowest two bits), saturated (bits 4 and 5) or
an artefact (6 and 7), unless they were not produced (3); and pixels with a defective element in a
band that is used and not defective in most pixels (`QL_PIXELMASK`, a band for each of the image).
Where those are most pixels they stay, and that is said. Water and snow stay.

Where sources disagree
----------------------
SNAP tests single bits, by which 255, no data in `QL_QUALITY_CIRRUS`, would be a cloud; here values
are compared. Layers of level 1B lie on VNIR's pixels (EnPT), so that SWIR has none; test flags and
pixel masks are a detector's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.layers import (
    CIRRUS,
    CLOUD,
    CLOUD_SHADOW,
    DOUBTFUL,
    HAZE,
    SNOW,
    WATER,
    Layer,
    any_of,
    doubtful,
)  # fmt: skip
from hsi_ssl.scenes.product import Quality
from hsi_ssl.scenes.products.members import layer, open_member
from hsi_ssl.scenes.scene import Bools, Scene

CLASSES, FLAGS, DEFECTS = "QL_QUALITY_CLASSES", "QL_QUALITY_TESTFLAGS", "QL_PIXELMASK"
LAYERS: dict[str, tuple[str, tuple[int, ...]]] = {
    CLOUD: ("QL_QUALITY_CLOUD", (1,)),
    CLOUD_SHADOW: ("QL_QUALITY_CLOUDSHADOW", (1,)),
    HAZE: ("QL_QUALITY_HAZE", (1,)),
    CIRRUS: ("QL_QUALITY_CIRRUS", (1, 2, 3)),
    SNOW: ("QL_QUALITY_SNOW", (1,)),
    WATER: (CLASSES, (2,)),
}
"""Layer -> the member that tells it, and the values that say so."""
BACKGROUND = 3
LOW, NOT_PRODUCED, WRONG = 2, 3, 0b1111_0000
"""In test flags: of the lowest two bits; bits of saturation and artefacts."""
MOSTLY = 0.5
"""Share of pixels: above it, defects are a band's own, or no reason to leave pixels out."""


def with_quality(scene: Scene, files: Mapping[str, Path], detector: str, quality: Quality) -> Scene:
    """The scene with the layers of its product, and nothing measured where those hide it.

    `files`: members by what they are; `detector`: of level 1B that which is read, else "". Bands
    are still in the image's order.

    Raises
    ------
    SceneError
        A layer is broken, or has not the image's pixels.
    """
    size = scene.rows, scene.cols
    layers, hiding, names = {}, [], []
    notes: list[str] = []
    if detector == "SWIR":
        notes.append(f"{scene.path.name}: cloud and other layers lie on VNIR's pixels: not used")
    else:
        for name, (member, values) in LAYERS.items():
            if member in files:
                layers[name] = layer(files[member], size, partial(_one_of, values), member)
        if CLASSES in files:
            hiding.append(layer(files[CLASSES], size, partial(_one_of, (BACKGROUND,)), CLASSES))
            names.append(f"the background of {CLASSES}")
    if quality == "strict":
        lacking = [name for name in DOUBTFUL if name not in layers]
        if lacking:
            what = ", ".join(lacking)
            notes.append(f"{scene.path.name}: no layer tells {what}: --quality strict leaves it in")
        more = list(doubtful(layers).values())
        end = f"_{detector}" if detector else ""
        if FLAGS + end in files:
            more.append(layer(files[FLAGS + end], size, _wrong, FLAGS + end))
        if DEFECTS + end in files:
            found, note = _defective(scene, files[DEFECTS + end])
            more += [] if found is None else [Layer(partial(np.copy, found), DEFECTS + end)]
            notes.append(note)
        if more:
            sources = dict.fromkeys(one.source for one in more)
            names.append(f"{', '.join(sources)} (--quality strict)")
        hiding += more
    scene = replace(scene, layers=layers, notes=(*scene.notes, *notes))
    return without(scene, any_of(hiding), tuple(names))


def _one_of(values: tuple[int, ...], scene: Scene) -> Bools:
    return np.isin(scene.read()[..., 0], values)


def _wrong(scene: Scene) -> Bools:
    """Of test flags: of low quality, saturated or an artefact."""
    flags = scene.read()[..., 0].astype(np.int64)
    overall = flags & 0b11
    found: Bools = (overall != NOT_PRODUCED) & ((overall == LOW) | (flags & WRONG != 0))
    return found


def _defective(scene: Scene, path: Path) -> tuple[Bools | None, str]:
    """Pixels with a defect in a band that is used, and what is to be said of them."""
    size = scene.rows, scene.cols
    with open_member(path) as mask:
        if (mask.rows, mask.cols, mask.bands) != (*size, scene.bands):
            raise SceneError(
                f"{path} has {mask.rows} x {mask.cols} pixels in {mask.bands} bands and the "
                f"product's image {size[0]} x {size[1]} in {scene.bands}; expected the same: get "
                "the product again"
            )
        places = list(mask.windows(2**16))
        counts = np.zeros(scene.bands, np.int64)
        for place in places:
            counts += np.count_nonzero(mask.read(*place) == 1, axis=(0, 1))
        used = scene.good & (counts <= MOSTLY * size[0] * size[1])
        found: Bools = np.zeros(size, bool)
        for place in places:
            found[place] = (mask.read(*place)[..., used] == 1).any(axis=-1)
    share = float(found.mean())
    said = f"{path.name} marks {100 * share:.1f} % of pixels in some band that is used"
    if share > MOSTLY:
        return None, f"{said}: too many to leave them out"
    return found, f"{said}: left out (--quality strict)"
