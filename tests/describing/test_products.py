from __future__ import annotations

from pathlib import Path

import pytest

from hsi_ssl.describing.telling import describe
from hsi_ssl.errors import SceneError


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("S2A_MSIL2A_20200101T000000_N0213.SAFE", None, "the folder of a Sentinel-2 product"),
        ("S3A_OL_1_EFR.SEN3", None, "the folder of a Sentinel-3 product"),
        ("S1A_IW_GRDH.SAFE", None, "the folder of a Sentinel product"),
        ("LC08_L1TP_042034", None, "the folder of a Landsat product"),
        ("ENMAP01-____L2A-DT0000.zip", b"PK\3\4", "the file of an EnMAP product"),
        ("DESIS-HSI-L2A-DT1.zip", b"PK\3\4", "the file of a DESIS product"),
        ("PRS_L2D_STD_2020.zip", b"PK\3\4", "the file of a PRISMA product"),
        ("EO1H0140332012153110T2.L1R", b"\x0e\x03\x13\x01" + bytes(60), "a Hyperion scene in HDF4"),
        ("MOD09.hdf", b"\x0e\x03\x13\x01" + bytes(60), "a file in HDF4"),
        ("spot.asd", b"as7" + bytes(60), "a binary spectrum of an ASD instrument"),
    ],
)
def test_products_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(SceneError, match=words):
        describe(path)
