"""What a mask says of a pixel: codes, names and colours."""

from __future__ import annotations

NO_DATA, LOOK, SHADOW, GLINT, CLOUD = range(5)
"""Codes in a mask: nothing measured; look at; shadow or background; glint; cloud."""

NAMES = {
    LOOK: "look at",
    SHADOW: "shadow or background",
    GLINT: "glint",
    CLOUD: "cloud",
}
COLOURS = {
    LOOK: "#7fbf7b",
    SHADOW: "#404040",
    GLINT: "#ffd92f",
    CLOUD: "#c6dbef",
}

MASK_TAG = "HSI_SSL_MASK"
"""GeoTIFF tag, `1` in masks that hsi-ssl wrote."""
