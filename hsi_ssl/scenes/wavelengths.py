"""What files say of their bands: centre wavelengths, widths, which are bad; all in nanometres.

Of what a raster itself says the source with most digits counts: band metadata in GDAL's IMAGERY
domain, which GDAL rounds to whole nanometres where it makes it of others, band tags, the dataset's
ENVI domain. Then come a companion .hdr, the catalog or a CSV given by the user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.scenes.envi_header import (
    esri_wavelengths,
    header_text,
    is_envi_header,
    is_esri_header,
    is_open,
    listed,
    read_header,
)
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.scene import Bools, Floats, Scene

MICROMETRES_BELOW = 100
"""Wavelengths without a unit are micrometres if all lie below this, else nanometres."""
X_RAYS_NM = 10
"""What is shorter is no light: micrometres that are called nanometres, as some writers do."""
NANOMETRES = {"nanometer": 1, "nanometre": 1, "nm": 1, "angstrom": 0.1} | {
    name: 1000 for name in ("micrometer", "micrometre", "micron", "um", "µm", "μm")
}
"""Unit, in the singular and lower case -> nanometres."""
LENGTHS = NANOMETRES | {
    name: factor
    for factor, names in (
        (1e6, ("millimeter", "millimetre", "mm")),
        (1e7, ("centimeter", "centimetre", "cm")),
        (1e9, ("meter", "metre", "m")),
    )
    for name in names
}
"""Those of ENVI headers, in which a scene's wavelengths may be in metres."""
RECIPROCAL = dict.fromkeys(("wavenumber", "cm-1", "cm^-1", "1/cm"), 1e7) | {
    "thz": 299_792.458, "ghz": 299_792_458.0, "mhz": 299_792_458_000.0,
}  # fmt: skip
"""Unit of wavenumbers (1/cm) or frequencies -> nanometres times the number."""
UNNAMED = {"unknown", "none"}
"""Units that are none."""
SHOWN = 8
"""Bands that a note names."""
HEADER_SUFFIXES = (".hdr", ".HDR", ".Hdr")


DECIMALS = 4
"""Of a nanometre: more are noise of float32 and of the change of unit."""
ROUNDED_NM = 0.5001
"""Whole nanometres lie no further from what they were."""


@dataclass(frozen=True)
class BandFacts:
    """What one source says of all bands; None where it says nothing.

    A band whose wavelength is NaN has none, and is bad.
    """

    wavelengths_nm: Floats | None = None
    fwhm_nm: Floats | None = None
    good: Bools | None = None
    notes: tuple[str, ...] = ()
    wavelengths_from: Origin | None = None
    good_from: Origin | None = None

    @property
    def guessed(self) -> bool:
        """Whether the unit of the wavelengths is."""
        return self.wavelengths_from is not None and self.wavelengths_from.guessed

    def else_from(self, other: BandFacts) -> BandFacts:
        """These facts, with those of `other` where they have none."""
        if self.wavelengths_nm is not None:
            mine, notes = self, self.notes
        else:
            mine, notes = other, (*self.notes, *other.notes)
        flagged = self if self.good is not None else other
        return BandFacts(
            mine.wavelengths_nm,
            mine.fwhm_nm,
            flagged.good,
            notes,
            mine.wavelengths_from,
            flagged.good_from,
        )

    @property
    def digits(self) -> int:
        """Decimals that the wavelengths have, in nanometres; -1 where there are none to be sure of.

        More of them tell a source from one that rounds.
        """
        if self.wavelengths_nm is None or self.guessed:
            return -1
        known = self.wavelengths_nm[np.isfinite(self.wavelengths_nm)]
        decimals = range(DECIMALS)
        return next((d for d in decimals if np.allclose(known, known.round(d), 0, 1e-6)), DECIMALS)


def band_facts(
    bands: int,
    *,
    where: str,
    wavelengths: object = None,
    units: str | None = None,
    fwhm: object = None,
    bad_band_list: object = None,
    wavelengths_from: str = "",
    good_from: str = "",
) -> BandFacts:
    """Facts from lists of numbers or of their texts, one a band.

    A list of another length says nothing, nor do wavelengths of which half or more are no positive
    numbers. Fewer cost their bands: they are NaN there, which is noted. `bad_band_list` holds 1 for
    good and 0 for bad bands. `where` names the source in notes; `wavelengths_from` and `good_from`
    say where in it these are, as `Origin.where`.
    """
    flags = _numbers(bad_band_list, bands)
    good = None if flags is None or np.isnan(flags).any() else flags != 0
    facts = BandFacts(good=good, good_from=Origin(good_from or where) if good is not None else None)
    centres = _positive(_numbers(wavelengths, bands))
    if centres is None:
        return facts
    to_nm, notes, guessed = _nanometres(units, centres, where)
    if to_nm is None:
        return replace(facts, notes=notes)
    named = singular(units or "unknown") not in UNNAMED
    lacking = np.isnan(centres)
    if lacking.any():
        found = dict.fromkeys(str(value).strip() for value in compress(_flat(wavelengths), lacking))
        counts = "counts" if lacking.sum() == 1 else "count"
        note = (
            f"no wavelength of {where} for {_counted(lacking)} (it has "
            f"{', '.join(list(found)[:SHOWN]) or 'nothing'} there), which {counts} as bad"
        )
        notes = (*notes, note)
    widths = _positive(_numbers(fwhm, bands))
    if widths is not None:
        wanting = np.isnan(widths) & ~lacking
        if wanting.any():
            known = np.flatnonzero(~np.isnan(widths))
            widths[wanting] = np.interp(np.flatnonzero(wanting), known, widths[known])
            note = f"no width (FWHM) of {where} for {_counted(wanting)}: taken from neighbours"
            notes = (*notes, note)
    return replace(
        facts,
        wavelengths_nm=_clean(to_nm(centres, None)),
        fwhm_nm=None if widths is None else _clean(to_nm(centres, widths)),
        notes=notes,
        wavelengths_from=Origin(
            wavelengths_from or where, f"in {units}" if named else "no unit", guessed
        ),
    )


def finest(*sources: BandFacts) -> BandFacts:
    """The facts of the source whose wavelengths have most digits, with what it lacks of others.

    The first of several. Widths are another's where its wavelengths are the same but for rounding.
    """
    best = max(sources, key=lambda facts: facts.digits)
    if best.wavelengths_nm is None:
        best = BandFacts()
    elif best.fwhm_nm is None:
        for other in sources:
            if other.wavelengths_nm is not None and other.fwhm_nm is not None:
                away = np.abs(other.wavelengths_nm - best.wavelengths_nm)
                if not (away > ROUNDED_NM).any():
                    best = replace(best, fwhm_nm=other.fwhm_nm)
                    break
    for other in sources:
        best = best.else_from(other)
    return best


def tagged_facts(
    tags: Sequence[Mapping[str, str]],
    *,
    where: str,
    found_in: Callable[[str], str] = lambda name: "",
) -> BandFacts:
    """Facts from the tags of each band: wavelength, wavelength_units, fwhm, bbl (any case).

    `found_in` says where a tag of some name lies, if not in the raster.
    """
    lower = [{key.lower(): value for key, value in band.items()} for band in tags]

    def called(*names: str) -> str:
        return next((n for n in names if any(n in band for band in lower)), names[0])

    def column(*names: str) -> list[str | None]:
        name = called(*names)
        return [band.get(name) for band in lower]

    centres = called("wavelength", "wavelengths")
    return band_facts(
        len(tags),
        where=where,
        wavelengths=column(centres),
        units=next(filter(None, column("wavelength_units", "wavelength_unit")), None),
        fwhm=column("fwhm"),
        bad_band_list=column("bbl"),
        wavelengths_from=f"the tags `{centres}` of the bands{found_in(centres)}",
        good_from=f"the tags `bbl` of the bands{found_in('bbl')}",
    )


def imagery_facts(tags: Sequence[Mapping[str, str]], *, found_in: str = "") -> BandFacts:
    """Facts from GDAL's IMAGERY domain of each band; `found_in`: where, if not in the raster."""
    return band_facts(
        len(tags),
        where="IMAGERY",
        wavelengths=[band.get("CENTRAL_WAVELENGTH_UM") for band in tags],
        units="um",
        fwhm=[band.get("FWHM_UM") for band in tags],
        wavelengths_from=f"`CENTRAL_WAVELENGTH_UM` in GDAL's domain IMAGERY{found_in}",
    )


def envi_facts(
    header: Mapping[str, Any], bands: int, *, where: str, found_in: str = "the header"
) -> BandFacts:
    """Facts from the fields of an ENVI header, lists as such or as the text `{1, 2}`.

    `found_in` is what has these fields.
    """
    fields = {key.lower().replace("_", " "): value for key, value in header.items()}
    lists: dict[str, Any] = {}
    notes: list[str] = []
    for name in ("wavelength", "fwhm", "bbl"):
        value = fields.get(name)
        if isinstance(value, str) and is_open(value):
            notes.append(f"{where} is a broken ENVI header: its list {name} has no end: left out")
        elif value is not None:
            lists[name] = listed(value) if isinstance(value, str) else value
    facts = band_facts(
        bands,
        where=where,
        wavelengths=lists.get("wavelength"),
        units=str(fields.get("wavelength units") or "").split(";")[0].strip(" {}\"'"),
        fwhm=lists.get("fwhm"),
        bad_band_list=lists.get("bbl"),
        wavelengths_from=f"the field `wavelength` of {found_in}",
        good_from=f"the field `bbl` of {found_in}",
    )
    for name, values in lists.items():
        if len(values) not in {0, bands}:
            entries = f"{len(values)} entries for {bands} bands"
            notes.append(f"the list {name} of {where} has {entries}: left out")
    if "bbl" in lists and facts.good is None and len(lists["bbl"]) == bands:
        notes.append(f"the list bbl of {where} holds what is neither 0 nor 1: left out")
    return replace(facts, notes=(*facts.notes, *notes))


def companion_facts(path: Path, bands: int) -> BandFacts:
    """Facts from the header beside a file of another format: `name.hdr`, `name.tif.hdr`.

    ENVI's, or ESRI's with its section WAVELENGTHS; `path` may be that header itself.
    """
    for beside in headers_beside(path):
        if is_envi_header(beside):
            fields = read_header(beside)
            return envi_facts(fields, bands, where=beside.name, found_in=beside.name)
        if is_esri_header(beside):
            listed_there = esri_wavelengths(header_text(beside))
            if listed_there is not None:
                return band_facts(
                    bands,
                    where=beside.name,
                    wavelengths=listed_there,
                    wavelengths_from=f"the section WAVELENGTHS of {beside.name}",
                )
    return BandFacts()


def headers_beside(path: Path) -> tuple[Path, ...]:
    """What headers of a file may be called, in small letters or capitals."""
    return tuple(
        name
        for suffix in HEADER_SUFFIXES
        for name in (path.with_suffix(suffix), Path(f"{path}{suffix}"))
    )


def with_facts(scene: Scene, *later: BandFacts) -> Scene:
    """`scene` with the facts of later sources where its own file has none."""
    lacking = _lacking(scene.wavelengths_nm, scene.bands)
    told = None if (scene.good | lacking).all() else scene.good
    facts = BandFacts(
        scene.wavelengths_nm,
        scene.fwhm_nm,
        told,
        wavelengths_from=scene.origins.wavelengths,
        good_from=scene.origins.bad_bands,
    )
    for source in later:
        facts = facts.else_from(source)
    good = np.ones(scene.bands, dtype=bool) if facts.good is None else facts.good
    return replace(
        scene,
        wavelengths_nm=facts.wavelengths_nm,
        fwhm_nm=facts.fwhm_nm,
        good=good & ~_lacking(facts.wavelengths_nm, scene.bands),
        notes=(*scene.notes, *facts.notes),
        origins=replace(
            scene.origins, wavelengths=facts.wavelengths_from, bad_bands=facts.good_from
        ),
    )


def unit_in(name: str) -> str | None:
    """The unit at the end of a name such as `wavelengths_um`, or None."""
    found = re.search(r"[ _(\[-]([a-zµμ]+)[)\]]?$", name.strip().lower())
    return found[1] if found and singular(found[1]) in NANOMETRES else None


def singular(unit: str) -> str:
    """The unit as `NANOMETRES` names it: `Micrometers` is `micrometer`."""
    return unit.strip().lower().removesuffix("s")


def _lacking(wavelengths_nm: Floats | None, bands: int) -> Bools:
    """Which bands have no wavelength where others have one."""
    found: Bools = np.zeros(bands, bool) if wavelengths_nm is None else np.isnan(wavelengths_nm)
    return found


ToNanometres = Callable[[Floats, Floats | None], Floats]
"""Centres, or widths at centres, in nanometres."""


def _nanometres(
    units: str | None, centres: Floats, where: str
) -> tuple[ToNanometres | None, tuple[str, ...], bool]:
    """How numbers become nanometres, and what was guessed; None for units that are no lengths."""
    word = singular(units or "unknown")
    low, high = np.nanmin(centres), np.nanmax(centres)
    if word in LENGTHS and high * LENGTHS[word] < X_RAYS_NM <= 1000 * high:
        note = (
            f"the wavelengths of {where} ({low:g} to {high:g}) are called {units}, and no light: "
            "taken as micrometres"
        )
        return _times(1000), (note,), True
    if word in LENGTHS:
        return _times(LENGTHS[word]), (), False
    if word in RECIPROCAL:
        return _through(RECIPROCAL[word]), (), False
    if word in UNNAMED:
        micro = high < MICROMETRES_BELOW
        taken = "micrometres" if micro else "nanometres"
        note = f"the wavelengths of {where} ({low:g} to {high:g}) carry no unit: taken as {taken}"
        return _times(1000 if micro else 1), (note,), True
    return (
        None,
        (f"the wavelengths of {where} are in {units}, which is no length: left out",),
        False,
    )


def _times(factor: float) -> ToNanometres:
    return lambda centres, widths: (centres if widths is None else widths) * factor


def _through(constant: float) -> ToNanometres:
    """Of wavenumbers or frequencies f: constant / f, and widths by its derivative."""
    return lambda centres, widths: (
        constant / centres if widths is None else constant / centres**2 * widths
    )


def _counted(flags: Bools) -> str:
    """`bands 1, 5`, counted from 1; the first few of many."""
    numbers = (np.flatnonzero(flags) + 1).tolist()
    shown = ("band " if len(numbers) == 1 else "bands ") + ", ".join(map(str, numbers[:SHOWN]))
    return shown if len(numbers) <= SHOWN else f"{shown} and {len(numbers) - SHOWN} more"


def _flat(values: object) -> list[Any]:
    """The entries of a list or an array; an array of texts is slow to make, so a list stays one."""
    if isinstance(values, list) and {*map(type, values)} == {str}:
        return values
    flat: list[Any] = np.ravel(np.asarray(values, dtype=object)).tolist()
    return flat


def _numbers(values: object, bands: int) -> Floats | None:
    """`bands` numbers, NaN where there is none; None for another number of them."""
    if values is None:
        return None
    flat = _flat(values)
    if len(flat) != bands:
        return None
    try:
        return np.array(list(map(float, flat)))
    except (TypeError, ValueError):
        found = [_number(value) for value in flat]
        return np.array([np.nan if number is None else number for number in found])


def _positive(values: Floats | None) -> Floats | None:
    """Numbers that are positive and finite, NaN in place of others; None where half are not."""
    if values is None:
        return None
    odd = ~(np.isfinite(values) & (values > 0))
    return None if 2 * odd.sum() >= max(1, len(values)) else np.where(odd, np.nan, values)


def _number(value: object) -> float | None:
    """Of a number or its text; `True` is 1."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return {"true": 1.0, "false": 0.0}.get(str(value).strip().lower())


def _clean(values: Floats) -> Floats:
    """Without the noise of float32 and of the change of unit: 0.4363 um is 436.3 nm, no more."""
    return np.round(values, DECIMALS)
