"""Where GDAL has a raster's facts from: the file, what lies beside it, or an ENVI header.

GDAL does not say it. Of tags, nodata values and scales its auxiliary file (`.aux.xml`: PAM,
"Persistent Auxiliary Metadata") goes before what the raster itself has; of the place it depends on
the driver, so that is compared. World files are among the raster's files where they were used.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.io import DatasetReader

from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.readers.gdal_masks import Layout
from hsi_ssl.scenes.virtual import SYSTEM

AUXILIARY = " in the .aux.xml beside it"
LARGEST = 2**26
"""Bytes of an auxiliary file that is looked into."""
PLACING = re.compile(r"\.(\w{1,2}w|\w{3,4}w|wld|tab|prj)", re.IGNORECASE)
"""Suffixes of files that place a raster: .tfw, .pgw, .tifw, .wld, MapInfo's .tab; .prj names a
CRS."""
NODATA, SCALE = "<NoDataValue", "<Scale>"
"""What stands in an auxiliary file where it tells these."""
PLACE = re.compile(r"<GeoTransform>([^<]*)</GeoTransform>")
SYSTEM_OF = re.compile(r"<SRS[^>]*>([^<]*)</SRS>")


class Sources:
    """What each fact of an open raster is taken from; `header` as in `scene_of`."""

    def __init__(self, dataset: DatasetReader, header: Mapping[str, str] | None) -> None:
        self._dataset = dataset
        self._header = header
        self._path = None if SYSTEM.match(dataset.name) else Path(dataset.name)
        self._auxiliary: str | None = None

    def beside(self, words: str) -> str:
        """`AUXILIARY` where the auxiliary file holds these words in any case, else nothing."""
        return AUXILIARY if words.lower() in self._auxiliary_text().lower() else ""

    def tag_beside(self, name: str) -> str:
        """The same for a tag of that name."""
        return self.beside(f'key="{name}"')

    @property
    def axes(self) -> Origin:
        """Of what are rows, columns and bands."""
        if self._header is None:
            return Origin("the bands of the raster")
        return Origin(
            "the field `interleave` of the header", self._header.get("interleave", "none")
        )

    @property
    def nodata(self) -> str:
        """Of a band's nodata value."""
        if self.beside(NODATA):
            return f"the nodata value{AUXILIARY}"
        if self._header is not None and "data ignore value" in self._header:
            return "the field `data ignore value` of the header"
        tag = " (tag GDAL_NODATA)" if self._dataset.driver == "GTiff" else ""
        return f"the raster's nodata value{tag}"

    @property
    def scale(self) -> str:
        """Of the scale and offset of bands."""
        return f"scale and offset of the bands{self.beside(SCALE)}"

    @property
    def transform(self) -> Origin:
        """Of where pixels lie."""
        if self._header is not None and "map info" in self._header:
            return Origin("the field `map info` of the header")
        if self._transform_is_auxiliary():
            return Origin(f"the transform{AUXILIARY}")
        world = self._placing_file(world_only=True)
        if world is not None:
            return Origin(f"the world file {world}")
        return Origin(self._own_place())

    @property
    def crs(self) -> Origin:
        """Of the coordinate system."""
        if self._header is not None:
            for field in ("coordinate system string", "map info"):
                if field in self._header:
                    return Origin(f"the field `{field}` of the header")
        if self._auxiliary_crs() == (self._dataset.crs or self._dataset.gcps[1]):
            return Origin(f"the coordinate system{AUXILIARY}")
        named = self._placing_file()
        if named is not None and Path(named).suffix.lower() in {".prj", ".tab"}:
            return Origin(named)
        return Origin(self._own_place())

    def mask(self, layout: Layout) -> Origin | None:
        """Of what hides pixels, beside values that stand for nothing; None where nothing does."""
        if layout.alpha is not None:
            return Origin(f"band {layout.alpha}, which is transparency")
        if not layout.masks:
            return None
        if self._path is not None and Path(f"{self._path}.msk").is_file():
            return Origin("the mask file beside it (.msk)")
        if "NODATA_VALUES" in self._dataset.tags():
            return Origin("the tag NODATA_VALUES, of values that together are nothing")
        return Origin("masks of the bands" if layout.each_its_own else "the mask in the file")

    def _transform_is_auxiliary(self) -> bool:
        found = PLACE.search(self._auxiliary_text())
        try:
            told = [] if found is None else [float(number) for number in found[1].split(",")]
        except ValueError:
            return False
        known = self._dataset.transform.to_gdal()
        return len(told) == len(known) and np.allclose(told, known, rtol=1e-12, atol=0)

    def _auxiliary_crs(self) -> CRS | None:
        found = SYSTEM_OF.search(self._auxiliary_text())
        try:
            return None if found is None else CRS.from_user_input(html.unescape(found[1]))
        except CRSError:
            return None

    def _own_place(self) -> str:
        if self._dataset.gcps[0]:
            return "the ground control points of the raster"
        return "the GeoTIFF keys" if self._dataset.driver == "GTiff" else "the raster itself"

    def _placing_file(self, *, world_only: bool = False) -> str | None:
        """The name of a file of the raster's own name that GDAL lists because it places it."""
        if self._path is None:
            return None
        for name in map(Path, self._dataset.files):
            if name.stem == self._path.stem and PLACING.fullmatch(name.suffix):
                if name.suffix.lower() != ".prj" or not world_only:
                    return name.name
        return None

    def _auxiliary_text(self) -> str:
        """What the auxiliary file holds; nothing where there is none."""
        if self._auxiliary is None:
            self._auxiliary = ""
            file = None if self._path is None else Path(f"{self._path}.aux.xml")
            if file is not None and file.is_file() and file.stat().st_size <= LARGEST:
                self._auxiliary = file.read_text(encoding="utf-8", errors="replace")
        return self._auxiliary
