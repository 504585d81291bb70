"""What GDAL refuses, in one sentence, however rasterio passes it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import CRSError, RasterioError

from hsi_ssl.errors import DamagedSceneError

FAILURES = (RasterioError, CRSError, CPLE_BaseError, UnicodeError)
"""Some of GDAL's errors come as they are; texts that are no UTF-8 come as errors of Python's."""


@contextmanager
def one_sentence(path: Path) -> Iterator[None]:
    """Turn what GDAL refuses of `path`, once it is open, into one sentence.

    Raises
    ------
    SceneError
        GDAL cannot make sense of what the file says.
    """
    try:
        yield
    except FAILURES as error:
        raise DamagedSceneError(
            f"{path} is cut short or broken ({reason(error)}); get the file again"
        ) from error


def reason(error: BaseException) -> str:
    """The first thing that went wrong, in GDAL's words: rasterio's own often say nothing."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, UnicodeError):
        return "a text in it is no UTF-8"
    lines = str(error).strip().rstrip(".").splitlines()
    return lines[0] if lines else type(error).__name__
