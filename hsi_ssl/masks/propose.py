"""From a scene to its mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from hsi_ssl.masks.backdrop import Backdrop, find_backdrop
from hsi_ssl.masks.codes import LOOK, NAMES, NO_DATA, SHADOW
from hsi_ssl.masks.cracks import find_cracks
from hsi_ssl.masks.highlights import fit_highlights
from hsi_ssl.masks.lanes import Lanes, find_lanes
from hsi_ssl.masks.layered import lay_layers
from hsi_ssl.masks.sketch import fit_eye, numbers, pieces_of, sketch
from hsi_ssl.scenes.scene import Array, Scene
from hsi_ssl.watcher import SILENT, Watcher

RED_NM, NEAR_INFRARED_NM = 660.0, 860.0
GREEN = 0.35
"""Normalised difference of near infrared and red above which something grows."""
GROWN = 0.02
"""Share of pixels where something grows that makes a scene a landscape."""
PICTURES = "IDX"
"""Format of scenes whose rows are pictures, not lines of pixels."""


def propose_mask(scene: Scene, watcher: Watcher = SILENT) -> npt.NDArray[np.uint8]:
    """Which pixels are worth a look: a plane `(rows, cols)` of the codes in `codes`.

    Reads a sample, then the scene by windows; holds a few bytes a pixel. Only what is clear is
    masked: no data, trays and cracks of drill core, glints, clouds; a scene without any of them is
    to be looked at as a whole. The quality layers of a product go over what is proposed. The
    watcher hears what was decided, in one sentence.
    """
    pieces = list(pieces_of(scene))
    valid = [scene.valid(piece) for piece in pieces]
    raw = np.concatenate([piece[v] for piece, v in zip(pieces, valid, strict=True)])
    eye = fit_eye(scene, pieces, valid) if scene.format != PICTURES else None
    if eye is None:
        mask = np.zeros((scene.rows, scene.cols), np.uint8)
        for rows, cols in scene.windows(2**16):
            mask[rows, cols] = np.where(scene.valid(scene.read(rows, cols)), LOOK, NO_DATA)
        reason = "nothing is looked for in such a scene"
        watcher.say(f"{scene.name}: {_with_layers(reason, mask, scene)}: {_shares(mask)}")
        return mask
    highlights = fit_highlights(numbers(raw[:, eye.bands]), raw, scene.wavelengths_nm)
    landscape = _grows(scene, raw)
    del pieces, valid, raw
    found = sketch(scene, eye, highlights, watcher)
    mask = found.mask
    highlights.finish(mask)
    backdrop: Backdrop | None = None
    met: list[Lanes] = []
    if not landscape:
        there = mask == LOOK
        lanes = _noting(find_lanes(found.seen, there), met)
        backdrop = find_backdrop(found.seen, there, lanes)
        if backdrop is not None:
            mask[backdrop.tray & there] = SHADOW
            mask[find_cracks(found.seen, mask == LOOK)] = SHADOW
    reason = _with_layers(_reason(backdrop, met, landscape), mask, scene)
    watcher.say(f"{scene.name}: {reason}: {_shares(mask)}")
    return mask


def _with_layers(reason: str, mask: npt.NDArray[np.uint8], scene: Scene) -> str:
    """The reason, with what the layers of a product say that are put over the mask."""
    said = lay_layers(mask, scene)
    return f"{reason}; {said}" if said else reason


def _grows(scene: Scene, raw: Array) -> bool:
    """Whether the sampled spectra show vegetation, which no core box holds."""
    nm = scene.wavelengths_nm
    if nm is None or np.nanmin(nm) > RED_NM or np.nanmax(nm) < NEAR_INFRARED_NM:
        return False
    red, infrared = (
        raw[:, int(np.nanargmin(np.abs(nm - at)))].astype(np.float32)
        for at in (RED_NM, NEAR_INFRARED_NM)
    )
    total = red + infrared
    growing = (total > 0) & (infrared - red > GREEN * total)
    return bool(growing.mean() > GROWN)


def _noting(candidates: Iterable[Lanes], met: list[Lanes]) -> Iterator[Lanes]:
    for lanes in candidates:
        met.append(lanes)
        yield lanes


def _reason(backdrop: Backdrop | None, met: list[Lanes], landscape: bool) -> str:
    if landscape:
        return "plants grow here, so no trays are looked for"
    if backdrop is None and met:
        return (
            "no background found, as what runs in straight lanes cannot be told from what lies "
            "between them; if it is a tray, mask it by hand"
        )
    if backdrop is None:
        return "no background found, as no material runs in straight lanes between broad strips"
    way = "columns" if backdrop.lanes.down else "rows"
    sticks = len(backdrop.lanes.strips)
    found = f"a tray runs along {way}, with {sticks} stick{'s' * (sticks > 1)} of core in it"
    if backdrop.doubt:
        found += (
            ", much like some of the core, so that in gaps it is masked only where light tells it "
            "from core; look whether some is left"
        )
    return found


def _shares(mask: npt.NDArray[np.uint8]) -> str:
    """`99.8 % to look at` and whatever else there is."""
    words = {code: "to look at" if code == LOOK else name for code, name in NAMES.items()}
    words[NO_DATA] = "no data"
    counts = {code: np.count_nonzero(mask == code) for code in words}
    parts = [
        f"{100 * counts[code] / mask.size:.1f} % {word}"
        for code, word in words.items()
        if counts[code] or code == LOOK
    ]
    return ", ".join(parts)
