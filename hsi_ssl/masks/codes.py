"""What a mask says of a pixel: codes, names and colours."""

from __future__ import annotations

NO_DATA, LOOK, SHADOW, GLINT, CLOUD, HAZE, CIRRUS = range(7)
"""Codes in a mask: nothing measured; look at; shadow or background; glint; cloud; haze; cirrus."""

NAMES = {
    LOOK: "look at",
    SHADOW: "shadow or background",
    GLINT: "glint",
    CLOUD: "cloud",
    HAZE: "haze",
    CIRRUS: "cirrus",
}
COLOURS = {
    LOOK: "#7fbf7b",
    SHADOW: "#404040",
    GLINT: "#ffd92f",
    CLOUD: "#c6dbef",
    HAZE: "#9966cc",
    CIRRUS: "#ccaaff",
}
TOLD = (HAZE, CIRRUS)
"""Those that are never proposed: a product's own layers alone say so."""

MASK_TAG = "HSI_SSL_MASK"
"""GeoTIFF tag, `1` in masks that hsi-ssl wrote."""
