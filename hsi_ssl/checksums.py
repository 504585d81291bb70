"""Checksums: whether what is read is what was written.

They notice damage, not forgery: who can write a file can write its checksums.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.json_text import as_written, parsed

STRIDE = 509
"""Words apart that are added up together: a prime, so that no page of a file that is zeroed, or
exchanged with another, meets the same sums."""
CHECKSUMS = "checksums"
"""The key of a card that holds one for each other key."""


def checksum(values: npt.NDArray[Any]) -> int:
    """32 bits of an array's type, shape and bytes; any changed byte gives another number.

    CRC-32 of `STRIDE` sums of 64-bit words, which are a tenth of the work of CRC-32 of all bytes
    (measured in reports/faults.md).
    """
    flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    whole = len(flat) // (8 * STRIDE) * (8 * STRIDE)
    sums = flat[:whole].view("<u8").reshape(-1, STRIDE).sum(axis=0, dtype="<u8")
    found = zlib.crc32(f"{values.dtype.str} {values.shape}".encode())
    return zlib.crc32(flat[whole:].data, zlib.crc32(sums.data, found))


def sealed(card: dict[str, Any]) -> dict[str, Any]:
    """A card with a checksum of each of its values, by which `changed` knows them again."""
    own = {key: value for key, value in card.items() if key != CHECKSUMS}
    return {**own, CHECKSUMS: _of_values(json.dumps(own, allow_nan=False))}


def unsealed(text: str) -> dict[str, Any]:
    """The values of a JSON object that `sealed` has sealed, or an earlier version has not.

    Raises
    ------
    ValueError
        As `changed`; it is not as it was written.
    """
    card = parsed(text)
    if not isinstance(card, dict):
        raise ValueError("it is no JSON object")
    differing = changed(text) if CHECKSUMS in card else []
    if differing:
        raise ValueError(f"{', '.join(differing)} differ from what was written")
    return {key: value for key, value in card.items() if key != CHECKSUMS}


def changed(text: str) -> list[str]:
    """Keys of a sealed card, as it is in its file, whose values are not those that were sealed.

    Of a card without checksums that key itself. Whoever changes a card by hand, and means it, sets
    it to null: then nothing is compared.

    Raises
    ------
    ValueError
        As `json_text.parsed`; the text is no card.
    """
    card = as_written(text)
    if not isinstance(card, dict):
        raise ValueError("it is no JSON object")
    if CHECKSUMS not in card:
        return [CHECKSUMS]
    sums = card[CHECKSUMS]
    if sums is None:
        return []
    if not isinstance(sums, dict):
        return [CHECKSUMS]
    found = _of_values(text)
    return sorted(key for key in found.keys() | sums.keys() if found.get(key) != sums.get(key))


def _of_values(text: str) -> dict[str, str]:
    """Of each value of a JSON object, numbers as they are written, keys in any order."""
    return {
        key: hashlib.sha256(
            json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        ).hexdigest()[:32]
        for key, value in as_written(text).items()
        if key != CHECKSUMS
    }
