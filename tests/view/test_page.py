"""The page in a headless browser: what it draws, and what clicks do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from hsi_ssl.datasets.store import Part, open_dataset
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.scenes.scene import Array
from hsi_ssl.view.shown import shown

DRAWN = (
    "state.scene && ['scene', 'map'].every(n => document.querySelectorAll(`.layer-${n} canvas`)"
    ".length) && [...document.querySelectorAll('#map canvas')].every(c => c.numbers)"
)


class Page:
    """The page of the test's map, open in the browser."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser, self.url = browser, url

    def open(self, **window: Any) -> None:
        self.browser.open(self.url, **window)
        self.browser.wait_for(DRAWN)

    def js(self, expression: str) -> Any:
        return self.browser.evaluate(expression)

    def at_full_zoom(self, *layers: str) -> None:
        """Show the whole scene, a cell a pixel, and wait until these layers are drawn."""
        self.js("void state.map.setView([150, 170], state.scene.depth, {animate: false})")
        for layer in layers:
            self.browser.wait_for(
                f"state.layers['{layer}'].tiles().filter(t => t.coords.z === 1 && t.numbers)"
                ".length === 4"
            )

    def press(self, selector: str) -> None:
        """Click in the middle of an element."""
        self.js(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        x, y = self.js(
            f"(() => {{ const r = document.querySelector('{selector}').getBoundingClientRect();"
            "return [r.left + r.width / 2, r.top + r.height / 2] })()"
        )
        self.browser.click(x, y)

    def pick(self, row: int, col: int) -> None:
        """Click on a pixel of the scene and wait for what it tells."""
        view = f"[{row}, {col}], state.scene.depth + 2, {{animate: false}}"
        self.js(f"void state.map.setView({view})")
        x, y = self.js(
            f"(() => {{ const p = state.map.latLngToContainerPoint([{row} + 0.5, {col} + 0.5]),"
            "r = document.getElementById('map').getBoundingClientRect();"
            "return [p.x + r.left, p.y + r.top] })()"
        )
        self.browser.click(x, y)
        self.browser.wait_for(f"state.picked?.row === {row} && state.picked.col === {col}")

    def colour(self, layer: str, row: int, col: int) -> list[int]:
        """Red, green, blue and opacity that a layer's canvas shows at a pixel, at full zoom."""
        found: list[int] = self.js(
            "(() => { const o = new OffscreenCanvas(1, 1).getContext('2d', "
            "{willReadFrequently: true});"
            f"o.drawImage(state.layers['{layer}'].tiles().find(t => t.coords.x === {col} >> 8 && "
            f"t.coords.y === {row} >> 8), -({col} & 255), -({row} & 255));"
            "return [...o.getImageData(0, 0, 1, 1).data] })()"
        )
        return found


@pytest.fixture(scope="module")
def url(project: Any, serving: Any) -> Iterator[str]:
    with shown([project.map]) as found, serving(found) as address:
        yield address


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Page]:
    """The page, which must not complain whatever a test does with it."""
    yield Page(browser, url)
    assert browser.errors() == []


@pytest.fixture(scope="module")
def plane(project: Any) -> Array:
    with rasterio.open(project.map) as raster:
        found: Array = raster.read(1)
    return found


def palette(project: Any) -> dict[int, tuple[int, ...]]:
    label_set = open_dataset(project.folder / "runs" / "dataset.h5").label_set
    return {
        c.code: (*(int(c.colour[i : i + 2], 16) for i in (1, 3, 5)), 255) for c in label_set.classes
    }


def test_a_run_without_map_shows_scene_and_labels(browser: Any, serving: Any, project: Any) -> None:
    with shown([project.run]) as found, serving(found) as url:
        browser.open(url, width=1280, height=800)
        browser.wait_for("state.layers.labels?.tiles().some(t => t.numbers)")
        assert browser.evaluate("state.layers.map === undefined")
        assert browser.evaluate("document.getElementById('scenes').hidden")
        assert browser.errors() == []


def test_scenes_are_chosen_from_a_list(
    browser: Any, serving: Any, project: Any, tmp_path: Path
) -> None:
    for name in ("flight_classes.tif", "flight_classes.csv"):
        shutil.copy(project.folder / name, tmp_path / name)
    with shown([project.map, tmp_path / "flight_classes.tif"]) as found, serving(found) as url:
        page = Page(browser, url)
        page.open(width=1280, height=800)
        assert page.js("state.layers.confidence !== undefined")
        page.js(
            "(() => { const s = document.getElementById('scenes'); s.selectedIndex = 1;"
            "s.dispatchEvent(new Event('change')) })()"
        )
        browser.wait_for("state.number === 1 && state.layers.confidence === undefined")
        browser.wait_for(DRAWN)
        page.pick(100, 100)
        assert page.js("state.picked.spectrum") == np.delete(project.cube[100, 100], 5).tolist()
        assert browser.errors() == []


@pytest.mark.parametrize(("width", "height", "dark"), [(1280, 800, False), (400, 860, True)])
def test_it_opens_without_complaint_overflow_or_foreign_requests(
    page: Page, width: int, height: int, dark: bool
) -> None:
    page.open(width=width, height=height, dark=dark)
    page.pick(100, 100)
    page.browser.wait_for("document.querySelector('#chart path.own')")
    assert page.browser.overflow() <= 0
    requests = page.browser.requests()
    assert requests
    assert [url for url in requests if not url.startswith(page.url)] == []
    side = "document.querySelector('aside')"
    assert page.js(f"{side}.scrollWidth - {side}.clientWidth") == 0
    paper = page.js("getComputedStyle(document.querySelector('aside')).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == dark


def test_the_map_is_drawn_in_its_colours(page: Page, plane: Array, project: Any) -> None:
    page.open(width=1280, height=800)
    page.at_full_zoom("map", "scene")
    colours = palette(project)
    for row, col in ((10, 10), (10, 30), (150, 50), (299, 339), (255, 256), (256, 255)):
        assert tuple(page.colour("map", row, col)) == colours[int(plane[row, col])]
    assert page.colour("map", 3, 320)[3] == page.colour("scene", 3, 320)[3] == 0


def test_the_legend_switches_classes(page: Page, plane: Array, project: Any) -> None:
    page.open(width=1280, height=800)
    page.at_full_zoom("map", "scene")
    places = {code: tuple(np.argwhere(plane == code)[0].tolist()) for code in (2, 7, 300)}

    def shown_now() -> set[int]:
        return {code for code, at in places.items() if page.colour("map", *at)[3]}

    assert shown_now() == {2, 7, 300}
    page.press('#classes button[data-code="7"]')
    assert shown_now() == {2, 300}
    assert page.js("document.querySelector('#classes [data-code=\"7\"]').ariaPressed") == "false"
    page.press('#classes button[data-code="7"]')
    assert shown_now() == {2, 7, 300}
    page.press("#none")
    assert shown_now() == set()
    page.press("#all")
    assert shown_now() == {2, 7, 300}
    counts = page.js(
        "[...document.querySelectorAll('#classes button')].map(b => b.lastChild.textContent)"
    )
    assert [int(n.replace(",", "")) for n in counts] == [(plane == c).sum() for c in (2, 7, 300)]


def test_layers_fade_and_go(page: Page) -> None:
    page.open(width=1280, height=800)
    opacity = "getComputedStyle(document.querySelector('.layer-map')).opacity"
    assert float(page.js(opacity)) == pytest.approx(0.7)
    x, y = page.js(
        "(() => { const r = document.getElementById('fade-map').getBoundingClientRect();"
        "return [r.left + r.width / 2, r.top + r.height / 2] })()"
    )
    page.browser.click(x, y)
    page.browser.wait_for(f"Math.abs({opacity} - 0.5) < 0.02")
    page.press("#show-map")
    page.browser.wait_for("!document.querySelector('.layer-map')")
    page.press("#show-labels")
    page.press("#show-confidence")
    page.browser.wait_for(
        "['labels', 'confidence'].every(n => { const c = "
        "document.querySelectorAll(`.layer-${n} canvas`);"
        "return c.length && [...c].every(t => t.numbers) })"
    )


def test_labels_by_part(page: Page, project: Any) -> None:
    data = open_dataset(project.folder / "runs" / "dataset.h5")
    row, col = data.pixel[data.rows(Part.TEST)[0]].tolist()
    page.open(width=1280, height=800)
    page.press("#show-labels")
    page.at_full_zoom("labels")
    assert page.colour("labels", row, col)[3] == 255
    page.press("#part-2")
    page.browser.wait_for(
        f"(t => new Uint16Array(t.numbers)[({row} & 255) * 256 + ({col} & 255)] === 0)"
        f"(state.layers.labels.tiles().find(t => t.coords.x === {col} >> 8 && "
        f"t.coords.y === {row} >> 8))"
    )
    assert page.colour("labels", row, col)[3] == 0


def test_a_band_by_itself(page: Page) -> None:
    page.open(width=1280, height=800)
    before = page.browser.requests()
    page.js(
        "(() => { const k = document.getElementById('picture'); k.value = 'band';"
        "k.dispatchEvent(new Event('change')); const b = document.getElementById('band');"
        "b.value = 9; b.dispatchEvent(new Event('input')) })()"
    )
    band = page.js("state.scene.bands[9].band")
    page.browser.wait_for(  # the slider waits a moment before it asks
        f"performance.getEntriesByType('resource').some(e => e.name.endsWith('n={band}')) &&"
        "state.layers.scene.tiles().every(t => { const v = new Uint8Array(t.numbers);"
        "return v.every((x, i) => i % 4 === 3 || x === v[i - i % 4]) })"
    )
    asked = [u for u in page.browser.requests()[len(before) :] if "/scene/" in u]
    assert any(u.endswith(f"n={band}") for u in asked)
    wave = page.js("document.querySelector('.layer output').textContent")
    assert wave == f"{round(page.js('state.scene.bands[9].nm'))} nm"


def test_a_click_tells_spectrum_and_probabilities(page: Page, project: Any) -> None:
    page.open(width=1280, height=800)
    row, col = 123, 77
    page.pick(row, col)
    page.browser.wait_for("document.querySelector('#chart path.own')")
    used = [b for b in range(14) if b != 5]
    raw = project.cube[row, col, used]
    # The drawn line, back from its pixels to values by the axis' own ticks.
    path = page.js(
        "[...document.querySelectorAll('#chart path.own')].map(p => p.getAttribute('d')).join('')"
    )
    points = np.array(
        [[float(v) for v in p.split(",")] for p in re.findall(r"[\d.]+,[\d.]+", path)]
    )
    ticks = page.js(
        "[...document.querySelectorAll('#chart .grid')].map(l => [Number(l.getAttribute('y1')),"
        "Number(l.nextSibling.textContent.replace(/,/g, ''))])"
    )
    (y0, v0), (y1, v1) = ticks[0], ticks[-1]
    drawn = v0 + (points[:, 1] - y0) * (v1 - v0) / (y1 - y0)
    np.testing.assert_allclose(drawn, raw, atol=0.004 * (raw.max() - raw.min() + abs(v1 - v0)))
    assert len(points) == len(used)
    # Its probabilities, in words.
    told = page.js(
        "[...document.querySelectorAll('#probabilities button')]"
        ".map(b => [b.firstChild.textContent, b.lastChild.textContent])"
    )
    classifier = load_classifier(project.run, "cpu")
    p = classifier.posterior(raw[None])[0]
    names = np.array(classifier.label_set.names)
    order = [i for i in np.argsort(-p) if p[i] >= 0.005]
    assert told == [[names[i], f"{100 * p[i]:.1f} %"] for i in order]
    # Its place on the ground, in the middle of the pixel.
    facts = page.js("document.getElementById('facts').textContent")
    assert f"{360_000 + 30 * (col + 0.5):.0f}" in facts
    assert f"{5_810_000 - 30 * (row + 0.5):.0f}" in facts
    assert "EPSG:32633" in facts
    assert page.js("document.querySelectorAll('#neighbours button').length") == 5
    # The class's range behind it; another class's on demand.
    first = page.js("document.querySelector('#chart path.wide').getAttribute('d')")
    page.js(
        "(() => { const r = document.getElementById('range'); r.value = [2, 7, 300].find(c => "
        "c !== Number(r.value)); r.dispatchEvent(new Event('change')) })()"
    )
    page.browser.wait_for(
        f"document.querySelector('#chart path.wide').getAttribute('d') !== '{first}'"
    )
    page.press("#neighbours button")
    page.browser.wait_for("document.querySelector('#chart path.like')")
    page.press("#close")
    page.browser.wait_for("document.getElementById('pixel').hidden")


def test_a_click_where_nothing_was_measured(page: Page) -> None:
    page.open(width=1280, height=800)
    page.pick(3, 320)
    assert "no measurement" in page.js("document.getElementById('facts').textContent")
    assert page.js("document.getElementById('spectrum').hidden")


def test_the_cursor_tells_where_it_is(page: Page) -> None:
    page.open(width=1280, height=800)
    x, y = page.js(
        "(() => { const p = state.map.latLngToContainerPoint([50, 60]); return [p.x, p.y] })()"
    )
    page.browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + 0.5, y=y + 0.5)
    page.browser.wait_for("document.getElementById('cursor').textContent")
    told = page.js("document.getElementById('cursor').textContent")
    assert told.startswith("row 50, column 60")
    east = float(re.search(r"·\s+([\d.]+),", told)[1])  # type: ignore[index]
    assert east == pytest.approx(360_000 + 30 * 60.25, abs=30)
