"""Text as programs write it, whatever they call it."""

from __future__ import annotations


def decoded(data: bytes) -> str:
    """Text in UTF-8, or as Windows and Excel write it."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("windows-1252", errors="replace")
