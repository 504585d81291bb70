"""What QGIS itself makes of a class map: palette and names, checked against the legend, and drawn.

    apt-get install --no-install-recommends python3-qgis
    /usr/bin/python3 tests/benchmarks/qgis_reads.py MAP.tif --picture reports/pictures/qgis.png

Runs with QGIS's own Python, without hsi-ssl. Opens the map as QGIS does when a file is dragged into
it, with the style (.qml) that lies beside, and once more without: then colours are those of the
file and names those that GDAL finds in .aux.xml. Both must be those of the legend (.csv), and the
picture, which QGIS's renderer draws with a legend of its own, must hold every class's colour.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsLayerTree,
    QgsLayerTreeModel,
    QgsLegendRenderer,
    QgsLegendSettings,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsRenderContext,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage, QPainter

Legend = dict[int, tuple[str, str]]
HEIGHT, LEGEND_WIDTH, DPI = 640, 260, 96


def read_legend(path: Path) -> Legend:
    """Name and colour by code of the CSV beside a map; 0 is no class."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {int(r["code"]): (r["name"], r["colour"]) for r in rows if r["code"] != "0"}


def opened(path: Path, *, style: bool) -> QgsRasterLayer:
    """The map as a layer, with the style beside it or without."""
    layer = QgsRasterLayer(str(path), path.stem, "gdal", QgsRasterLayer.LayerOptions(style))
    if not layer.isValid():
        sys.exit(f"QGIS cannot open {path}: {layer.error().summary()}")
    return layer


def styled(path: Path) -> Legend:
    """What QGIS shows: the classes of the renderer that it chose."""
    layer = opened(path, style=True)  # which owns its renderer, so it must stay
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        sys.exit(f"QGIS draws {path} by {renderer.type()}, expected paletted")
    return {int(c.value): (c.label, c.color.name()) for c in renderer.classes()}


def in_file(path: Path, codes: Legend) -> Legend:
    """Palette and names as the file has them, of the codes that are classes."""
    layer = opened(path, style=False)
    items = layer.dataProvider().colorTable(1)
    return {
        int(item.value): (item.label, item.color.name())
        for item in items
        if int(item.value) in codes
    }


def drawn(path: Path) -> QImage:
    """The map as QGIS's renderer draws it, QGIS's legend beside it."""
    layer = opened(path, style=True)
    width = max(1, round(HEIGHT * layer.width() / layer.height()))
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(layer.extent())
    settings.setOutputSize(QSize(width, HEIGHT))
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    tree = QgsLayerTree()
    tree.addLayer(layer)
    model = QgsLayerTreeModel(tree)
    legend = QgsLegendRenderer(model, QgsLegendSettings())
    image = QImage(width + LEGEND_WIDTH, HEIGHT, QImage.Format_RGB32)
    image.fill(QColor("white"))
    image.setDotsPerMeterX(round(DPI / 0.0254))
    image.setDotsPerMeterY(round(DPI / 0.0254))
    painter = QPainter(image)
    painter.drawImage(0, 0, job.renderedImage())
    painter.translate(width + 10, 10)
    context = QgsRenderContext.fromQPainter(painter)
    painter.scale(context.scaleFactor(), context.scaleFactor())  # legends are laid out in mm
    legend.drawLegend(context)
    painter.end()
    return image


def colours(image: QImage, cols: int) -> set[str]:
    """All colours in the left part of a picture."""
    return {image.pixelColor(x, y).name() for x in range(cols) for y in range(0, image.height(), 2)}


def main() -> None:
    """Check one map, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("map", type=Path)
    parser.add_argument("--picture", type=Path, help="PNG to write.")
    arguments = parser.parse_args()
    application = QgsApplication([], False)
    application.initQgis()
    try:
        check(arguments.map, arguments.picture)
    finally:
        application.exitQgis()


def check(path: Path, picture: Path | None) -> None:
    """Compare, print, draw; ends the program where QGIS has it otherwise."""
    expected = read_legend(path.with_suffix(".csv"))
    layer = opened(path, style=True)
    print(f"QGIS {Qgis.QGIS_VERSION}: {path}, {layer.width()} x {layer.height()} pixels,", end=" ")
    print(
        f"{layer.crs().authid() or 'no CRS'}, nodata {layer.dataProvider().sourceNoDataValue(1):g}"
    )
    with_style, without = styled(path), in_file(path, expected)
    for code, (name, colour) in expected.items():
        print(f"{code:6}  {colour}  {name}")
    if with_style != expected:
        sys.exit(f"with its style QGIS shows otherwise: {with_style}")
    print("style (.qml): as the legend")
    if without != expected:
        sys.exit(f"in the file and its .aux.xml QGIS finds otherwise: {without}")
    print("palette and names (.tif, .aux.xml): as the legend")
    image = drawn(path)
    shown = colours(image, image.width() - LEGEND_WIDTH)
    present = {c for c, _ in counted(path)}
    missing = [expected[code][0] for code in present if expected[code][1] not in shown]
    if missing:
        sys.exit(f"not in QGIS's picture: {', '.join(missing)}")
    print(f"drawn: {len(present)} classes in their colours")
    if picture is not None:
        image.save(str(picture))


def counted(path: Path) -> list[tuple[int, int]]:
    """Codes and pixels of the classes that should be seen: one pixel in a thousand or more."""
    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        pixels = {int(r["code"]): int(r["pixels"]) for r in csv.DictReader(file)}
    least = sum(pixels.values()) / 1000
    return [(code, n) for code, n in pixels.items() if code and n >= least]


if __name__ == "__main__":
    main()
