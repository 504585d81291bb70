"""AVIRIS-NG as ENVI files in sensor geometry, with a lookup table and coordinates beside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from aviris_files import ABSORBED, FLIGHT, NM, write_flight
from delivered import agreement, drawn_fields, refused, run, taught, turned, whole_way

from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.products.aviris_envi import kind_of

GROUND = turned(20, 26)


def header_of(path: Path) -> Path:
    """An ENVI file's header."""
    return path.with_name(path.name + ".hdr")


@pytest.mark.parametrize(
    ("beside", "where"),
    [(("glt", "loc"), "loc"), (("glt", "igm"), "igm"), (("glt",), "glt"), (("loc",), "loc")],
)
def test_place(tmp_path: Path, beside: tuple[str, ...], where: str) -> None:
    path = write_flight(tmp_path, GROUND, cell=30, beside=beside, degrees=20)
    with open_scene(path) as scene:
        assert scene.format == "AVIRIS-NG ENVI"
        assert scene.nodata == -9999
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        np.testing.assert_array_equal(scene.good, ~ABSORBED)
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM, atol=1e-3)
        located = scene.grid.geolocation
        assert located is not None
        assert scene.origins.transform is not None
        assert scene.origins.transform.where.endswith(where)
        if where != "loc":
            away = np.hypot(located.x - GROUND.x, located.y - GROUND.y)
            assert away.max() < (15 if where == "glt" else 1e-6)
        assert (scene.ortho is not None) == ("glt" in beside)
        if scene.ortho is not None:
            assert scene.ortho.grid.transform is not None
            a, b, _, d, e, _ = scene.ortho.grid.transform
            assert np.allclose([np.hypot(a, d), np.hypot(b, e)], 30)
            assert b != 0


def test_any_member_opens_the_cube(tmp_path: Path) -> None:
    path = write_flight(tmp_path, GROUND, cell=30, beside=("glt", "loc", "igm"))
    for one in (table := tmp_path / f"{FLIGHT}_rdn_v2u1_igm", header_of(table)):
        (tmp_path / one.name.replace("igm", "obs")).write_bytes(one.read_bytes())
    members = [p for p in tmp_path.iterdir() if p != path]
    assert len(members) == 9
    for member in members:
        assert json.loads(run("info", member, "--json"))["path"] == str(path), member
    folder = tmp_path / f"{FLIGHT}_rfl_v2u1"
    folder.mkdir()
    for member in (path, *members):
        member.rename(folder / member.name)
    assert json.loads(run("info", folder, "--json"))["path"] == str(folder / path.name)


def test_an_orthorectified_cube_needs_nothing(tmp_path: Path) -> None:
    path = write_flight(tmp_path, GROUND, cell=30)
    header = header_of(path)
    place = "UTM, 1, 1, 400000, 5600000, 30, 30, 33, North, WGS-84, rotation=-30"
    header.write_text(header.read_text() + f"map info = {{{place}}}\n")
    with open_scene(path) as scene:
        assert scene.grid.geolocation is None
        assert scene.ortho is None
        assert scene.grid.transform is not None
        assert scene.grid.transform[1] != 0
        assert scene.nodata == -9999


def test_what_does_not_belong_is_refused(tmp_path: Path) -> None:
    path = write_flight(tmp_path, GROUND, cell=30)
    for kind in ("glt", "loc"):
        table = tmp_path / f"{FLIGHT}_rdn_v2u1_{kind}"
        away = tmp_path / "away"
        away.mkdir(exist_ok=True)
        other = turned(30, 40)
        write_flight(away, other, cell=30)
        for one in (table, header_of(table)):
            kept = one.read_bytes()
            one.write_bytes((away / one.name).read_bytes())
            (tmp_path / f"kept{one.suffix}").write_bytes(kept)
        words = ["shows line 30 and sample 40", "20 x 26"] if kind == "glt" else ["30 x 40 pixels"]
        refused(words, "info", path)
        table.write_bytes((tmp_path / "kept").read_bytes())
        header_of(table).write_bytes((tmp_path / "kept.hdr").read_bytes())
    east = type(GROUND)(GROUND.x + 900, GROUND.y)
    write_flight(away, east, cell=30)
    for name in (f"{FLIGHT}_rdn_v2u1_glt", f"{FLIGHT}_rdn_v2u1_glt.hdr"):
        (tmp_path / name).write_bytes((away / name).read_bytes())
    refused(["30 cells beside their own coordinates", "one product"], "info", path)


def test_members_that_are_missing_or_too_many(tmp_path: Path) -> None:
    path = write_flight(tmp_path, GROUND, cell=30)
    table = tmp_path / f"{FLIGHT}_rdn_v2u1_glt"
    for one in (table, header_of(table)):
        (tmp_path / one.name.replace("v2u1", "v3a1")).write_bytes(one.read_bytes())
    refused([f"{FLIGHT}_rdn_v2u1_glt and {FLIGHT}_rdn_v3a1_glt", "one glt"], "info", path)
    path.unlink()
    refused(["whose cube is not beside it"], "info", tmp_path / f"{FLIGHT}_rdn_v3a1_glt")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("_rfl_v2p5_img", "cube"), ("_corr_v2p5_img.hdr", "cube"), ("_rdn_v2p5_img", "cube"),
        ("_ort_glt", "glt"), ("_ort_igm.hdr", "igm"), ("_L1B_ORT_main_1a2b3c4d_LOC_ORT", "other"),
        ("_L1B_ORT_main_1a2b3c4d_LOC", "loc"), ("_L1B_RDN_main_1a2b3c4d_BANDMASK", "other"),
        ("_obs_ort", "other"), ("_h2o_v2p5_img", "other"), ("_rfl_v2p5_img_classes.img", None),
        ("_rfl_labels.img", None), ("_L2A_OE_main_1a2b3c4d_RFL_ORT", "cube"),
    ],
)  # fmt: skip
def test_what_names_say(name: str, kind: str | None) -> None:
    assert kind_of(Path(FLIGHT + name), FLIGHT) == kind


@pytest.mark.slow
@pytest.mark.parametrize(("beside", "degrees"), [(("glt", "loc"), 0.0), (("glt",), -30.0)])
def test_from_the_files_to_the_map(tmp_path: Path, beside: tuple[str, ...], degrees: float) -> None:
    ground = turned(72, 96, 15.0)
    path = write_flight(tmp_path, ground, cell=15, beside=beside, degrees=degrees)
    whole_way(path, ground, tmp_path)


@pytest.mark.slow
def test_envi_maps_on_a_turned_grid(tmp_path: Path) -> None:
    """A map of the flight is no cube of the flight."""
    ground = turned(72, 96, 15.0)
    path = write_flight(tmp_path, ground, cell=15, degrees=20)
    model = taught(path, drawn_fields(ground, tmp_path / "drawn.gpkg"))
    told = json.loads(
        run("classify", path, "--model", model, "-o", tmp_path, "--format", "envi", "--json")
    )
    assert agreement(Path(told["map"])) > 0.95
    assert json.loads(run("info", told["map"], "--json"))["kind"] == "class map"
