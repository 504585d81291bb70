from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.datasets.bands import same_bands
from hsi_ssl.errors import BandsError
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.wavelengths import BandFacts, with_facts


def scene(*wavelengths: float) -> Scene:
    reader = ArrayReader(np.ones((2, 2, len(wavelengths))))
    bare = Scene(Path("x"), "test", *reader.shape, reader.dtype, reader)
    return with_facts(bare, BandFacts(np.array(wavelengths)))


def test_a_band_without_a_wavelength_is_no_other_band() -> None:
    scenes = [scene(400, np.nan, 600), scene(400, 500, 600), scene(400, np.nan, 600)]
    assert scenes[0].good.tolist() == [True, False, True]
    wavelengths, _ = same_bands(scenes)
    assert wavelengths is not None
    np.testing.assert_array_equal(wavelengths, [400, np.nan, 600])
    with pytest.raises(BandsError, match=r"band 3 lies at 600\.0 nm in x and at 700\.0 nm"):
        same_bands([*scenes, scene(400, np.nan, 700)])
