from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.errors import SettingsError
from hsi_ssl.maps.places import map_paths
from hsi_ssl.scenes.opening import open_scene


def test_where_maps_go(
    cube: npt.NDArray[np.uint16], write_scene: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    names = ("one.x.tif", "two.tif", "one.2.tif", "a/one.x.tif")
    one, two, other, again = scenes = [open_scene(write_scene(cube, name=n)) for n in names]
    assert map_paths([one, two], None) == [Path("one.x_classes.tif"), Path("two_classes.tif")]
    assert map_paths([one, two], Path("maps")) == [
        Path("maps/one.x_classes.tif"),
        Path("maps/two_classes.tif"),
    ]
    assert map_paths([one], Path("there.TIF")) == [Path("there.TIF")]
    with pytest.raises(SettingsError, match="name a folder instead"):
        map_paths([one, two], Path("there.tif"))
    assert map_paths([other], None) == [Path("one.2_classes.tif")]  # whatever else there is
    with pytest.raises(SettingsError, match=r"would both be one\.x_classes\.tif"):
        map_paths([one, two, again], None)
    assert map_paths([one], Path("there.img")) == [Path("there.img")]
    assert map_paths([one, two], None, "envi") == [
        Path("one.x_classes.img"),
        Path("two_classes.img"),
    ]
    assert map_paths([one], Path("maps.v2")) == [Path("maps.v2/one.x_classes.tif")]
    (tmp_path / "maps.jpg").mkdir()
    assert map_paths([one], tmp_path / "maps.jpg") == [tmp_path / "maps.jpg" / "one.x_classes.tif"]
    with pytest.raises(SettingsError, match=r"found map\.jpg: name it map\.tif"):
        map_paths([one], Path("map.jpg"))
    for scene in scenes:
        scene.close()
