"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Give the path of a file or folder of real data, or skip, saying why.

    Under CI nothing is skipped: missing data is a failure there.
    """

    def find(name: str) -> Path:
        folder = os.environ.get("HSI_SSL_DATA")
        if folder and (Path(folder) / name).exists():
            return Path(folder) / name
        reason = f"needs real data: set HSI_SSL_DATA to a folder that holds {name}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    return find
