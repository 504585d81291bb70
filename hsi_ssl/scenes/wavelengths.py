"""What files say of their bands: centre wavelengths, widths, which are bad; all in nanometres.

Sources are asked in this order, and the first that has an answer for every band counts: band
metadata in GDAL's IMAGERY domain, band tags, the dataset's ENVI domain, a companion .hdr, the
catalog or a CSV given by the user.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.scene import Bools, Floats, Scene

MICROMETRES_BELOW = 100
"""Wavelengths without a unit are micrometres if all lie below this, else nanometres."""
NANOMETRES = {"nanometer": 1, "nanometre": 1, "nm": 1, "angstrom": 0.1} | {
    name: 1000 for name in ("micrometer", "micrometre", "micron", "um", "µm", "μm")
}
"""Unit, in the singular and lower case -> nanometres."""


@dataclass(frozen=True)
class BandFacts:
    """What one source says of all bands; None where it says nothing."""

    wavelengths_nm: Floats | None = None
    fwhm_nm: Floats | None = None
    good: Bools | None = None
    notes: tuple[str, ...] = ()

    def else_from(self, other: BandFacts) -> BandFacts:
        """These facts, with those of `other` where they have none."""
        if self.wavelengths_nm is not None:
            mine, notes = self, self.notes
        else:
            mine, notes = other, (*self.notes, *other.notes)
        good = self.good if self.good is not None else other.good
        return BandFacts(mine.wavelengths_nm, mine.fwhm_nm, good, notes)


def band_facts(
    bands: int,
    *,
    where: str,
    wavelengths: object = None,
    units: str | None = None,
    fwhm: object = None,
    bad_band_list: object = None,
) -> BandFacts:
    """Facts from lists of numbers or of their texts, one a band.

    A list that is not whole (another length, no numbers, wavelengths that are not positive) says
    nothing. `bad_band_list` holds 1 for good and 0 for bad bands. `where` names the source in the
    note on guessed units.
    """
    good = _numbers(bad_band_list, bands)
    facts = BandFacts(good=None if good is None else good != 0)
    centres = _numbers(wavelengths, bands)
    if centres is None or not (centres > 0).all():
        return facts
    factor, notes = _nanometres(units, centres, where)
    if factor is None:
        return replace(facts, notes=notes)
    widths = _numbers(fwhm, bands)
    return replace(
        facts,
        wavelengths_nm=_clean(centres * factor),
        fwhm_nm=None if widths is None else _clean(widths * factor),
        notes=notes,
    )


def tagged_facts(tags: Sequence[Mapping[str, str]], *, where: str) -> BandFacts:
    """Facts from the tags of each band: wavelength, wavelength_units, fwhm, bbl (any case)."""
    lower = [{key.lower(): value for key, value in band.items()} for band in tags]

    def column(*names: str) -> list[str | None]:
        name = next((n for n in names if lower and n in lower[0]), names[0])
        return [band.get(name) for band in lower]

    return band_facts(
        len(tags),
        where=where,
        wavelengths=column("wavelength", "wavelengths"),
        units=column("wavelength_units", "wavelength_unit")[0] if tags else None,
        fwhm=column("fwhm"),
        bad_band_list=column("bbl"),
    )


def imagery_facts(tags: Sequence[Mapping[str, str]]) -> BandFacts:
    """Facts from GDAL's IMAGERY domain of each band."""
    return band_facts(
        len(tags),
        where="IMAGERY",
        wavelengths=[band.get("CENTRAL_WAVELENGTH_UM") for band in tags],
        units="um",
        fwhm=[band.get("FWHM_UM") for band in tags],
    )


def envi_facts(header: Mapping[str, Any], bands: int, *, where: str) -> BandFacts:
    """Facts from the fields of an ENVI header, lists as such or as the text `{1, 2}`."""
    fields = {key.lower().replace("_", " "): value for key, value in header.items()}
    return band_facts(
        bands,
        where=where,
        wavelengths=_listed(fields.get("wavelength")),
        units=fields.get("wavelength units"),
        fwhm=_listed(fields.get("fwhm")),
        bad_band_list=_listed(fields.get("bbl")),
    )


def companion_facts(path: Path, bands: int) -> BandFacts:
    """Facts from the ENVI header beside a file of another format: `name.hdr`, `name.tif.hdr`."""
    from spectral.io.envi import EnviException, read_envi_header

    for beside in (path.with_suffix(".hdr"), path.with_name(path.name + ".hdr")):
        if beside == path or not is_envi_header(beside):
            continue
        try:
            with warnings.catch_warnings():  # it warns of upper-case names, which are harmless
                warnings.simplefilter("ignore")
                return envi_facts(read_envi_header(str(beside)), bands, where=beside.name)
        except (EnviException, UnicodeDecodeError):
            return BandFacts(notes=(f"{beside} is a broken ENVI header: left out",))
    return BandFacts()


def is_envi_header(path: Path) -> bool:
    """Whether there is a file whose first line begins with ENVI (other programs use .hdr too)."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip().startswith(b"ENVI")
    except OSError:
        return False


def csv_facts(path: Path, bands: int) -> BandFacts:
    """Facts from a CSV: one row a band, a column `wavelength` and, if there, `fwhm` and `bbl`.

    The unit may stand in the name (`wavelength_um`). One column alone needs no name.

    Raises
    ------
    SceneNotFoundError
        There is no such file.
    SceneError
        The file has no wavelength column, or not one wavelength for each of `bands` bands.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SceneNotFoundError(f"no file {path} with wavelengths") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"{path} is no CSV with wavelengths ({error})") from error
    rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    if len(names) == 1 and _number(names[0]) is not None:
        names = ["wavelength"]
    else:
        rows = rows[1:]

    def column(word: str) -> tuple[str, list[str] | None]:
        place = next((i for i, name in enumerate(names) if name.startswith(word)), None)
        if place is None:
            return "", None
        return names[place], [row[place] if place < len(row) else "" for row in rows]

    name, wavelengths = column("wavelength")
    if wavelengths is None:
        raise SceneError(
            f"{path} has no column `wavelength`; expected one row a band under that name"
        )
    facts = band_facts(
        bands,
        where=path.name,
        wavelengths=wavelengths,
        units=unit_in(name),
        fwhm=column("fwhm")[1],
        bad_band_list=column("bbl")[1],
    )
    if facts.wavelengths_nm is None:
        raise SceneError(
            f"{path} does not give a wavelength for each band: expected {bands} positive numbers, "
            f"found {len(wavelengths)} rows"
        )
    return facts


def with_facts(scene: Scene, *later: BandFacts) -> Scene:
    """`scene` with the facts of later sources where its own file has none."""
    own = BandFacts(scene.wavelengths_nm, scene.fwhm_nm, None if scene.good.all() else scene.good)
    facts = own
    for source in later:
        facts = facts.else_from(source)
    return replace(
        scene,
        wavelengths_nm=facts.wavelengths_nm,
        fwhm_nm=facts.fwhm_nm,
        good=np.ones(scene.bands, dtype=bool) if facts.good is None else facts.good,
        notes=(*scene.notes, *facts.notes),
    )


def unit_in(name: str) -> str | None:
    """The unit at the end of a name such as `wavelengths_um`, or None."""
    found = re.search(r"[ _(\[-]([a-zµμ]+)[)\]]?$", name.strip().lower())
    return found[1] if found and singular(found[1]) in NANOMETRES else None


def singular(unit: str) -> str:
    """The unit as `NANOMETRES` names it: `Micrometers` is `micrometer`."""
    return unit.strip().lower().removesuffix("s")


def _nanometres(
    units: str | None, centres: Floats, where: str
) -> tuple[float | None, tuple[str, ...]]:
    """Nanometres a unit, and what was guessed; None for units that are no lengths."""
    word = singular(units or "unknown")
    if word in NANOMETRES:
        return NANOMETRES[word], ()
    if word in {"unknown", "none"}:
        micro = centres.max() < MICROMETRES_BELOW
        taken = "micrometres" if micro else "nanometres"
        span = f"{centres.min():g} to {centres.max():g}"
        note = f"the wavelengths of {where} ({span}) carry no unit: taken as {taken}"
        return (1000 if micro else 1), (note,)
    return None, (f"the wavelengths of {where} are in {units}, which is no length: left out",)


def _listed(value: object) -> object:
    """The list in a text such as `{400.0, 410.5}`."""
    return value.strip(" \n{}").split(",") if isinstance(value, str) else value


def _numbers(values: object, bands: int) -> Floats | None:
    """`bands` finite numbers, or None."""
    if values is None:
        return None
    found = [_number(value) for value in np.ravel(np.asarray(values, dtype=object))]
    numbers = np.array([np.nan if number is None else number for number in found])
    return numbers if len(numbers) == bands and np.isfinite(numbers).all() else None


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _clean(values: Floats) -> Floats:
    """Without the noise of float32 and of the change of unit: 0.4363 um is 436.3 nm, no more."""
    return np.round(values, 4)
