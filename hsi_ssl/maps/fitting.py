"""A scene fitted to a model: its bands, and its numbers once they have been looked at.

Where both say their unit, numbers are converted; else they are compared with what was learnt from,
and a scene in another unit is refused, with the factor that lies between where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from hsi_ssl.datasets.learnt_numbers import Difference, difference
from hsi_ssl.errors import UnitsError
from hsi_ssl.maps.bands import Array, BandMatch, ModelBands, match_bands, match_wavelengths
from hsi_ssl.scenes.fills import tell_undeclared
from hsi_ssl.scenes.resampling import drift_in_words
from hsi_ssl.scenes.sample import sample
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.units import as_they_are, refuse_scaled_twice
from hsi_ssl.watcher import Watcher


def fitted(
    scene: Scene,
    model: ModelBands,
    *,
    resample: bool = False,
    force: bool = False,
    watcher: Watcher,
) -> BandMatch:
    """How the scene's bands and numbers become the model's; what was guessed is said.

    Raises
    ------
    BandsError
        As `match_bands`.
    UnitsError
        The scene's numbers cannot be in the unit of those that the model learnt from, and it is
        not forced; the sentence names the factor where there is one. They were scaled twice.
    """
    return all_fitted([scene], model, resample=resample, force=force, watcher=watcher)[0]


def all_fitted(
    scenes: Sequence[Scene],
    model: ModelBands,
    *,
    resample: bool = False,
    force: bool = False,
    watcher: Watcher,
) -> list[BandMatch]:
    """As `fitted`, of each scene; how far bands lie off is said once for all."""
    found, drifts = [], []
    for scene in scenes:
        match = match_bands(scene, model, resample=resample)
        if match.note is not None:
            watcher.say(match.note)
        found.append(_in_its_numbers(scene, model, match, resample, force, watcher))
        drifts.append((scene.path, match.drift_nm))
    said = drift_in_words(drifts, "the model")
    if said is not None:
        watcher.say(said)
    return found


def _in_its_numbers(
    scene: Scene, model: ModelBands, match: BandMatch, resample: bool, force: bool, watcher: Watcher
) -> BandMatch:
    """The match with numbers as they are, or brought to the model's."""
    if model.numbers is None:
        if not model.pictures:
            watcher.say(
                "this run does not remember the numbers that it learnt from: whether "
                f"{scene.path.name} is in the same unit could not be checked"
            )
        return match
    found_here = sample(scene, match.bands)
    tell_undeclared(scene, found_here, watcher)
    raw = found_here.spectra
    if not len(raw):
        return match
    refuse_scaled_twice(scene, raw, match.bands)
    found = difference(model.numbers, match.interpolate(raw))
    here = scene.units or as_they_are(scene.bands)
    one_sided = here.said and not here.given and not match.converts
    if found is None:
        if one_sided and not model.numbers.units.said:
            watcher.say(
                f"{scene.path.name} tells a scale and the model's scenes told none: its numbers "
                "are taken as they are, for they lie where those of the model did"
            )
        return match
    if one_sided:
        own = match.converted(here, as_they_are(len(model.used)))
        if difference(model.numbers, own.interpolate(raw)) is None:
            watcher.say(
                f"{scene.path.name}: its numbers are brought to the model's by its own scale "
                f"({here.source})"
            )
            return own
    unlike = (
        f"the numbers of {scene.path} are not in the range that the model learnt from "
        f"({found.numbers})"
    )
    if force:
        watcher.warn(f"{unlike}: going on, as asked")
        return match
    plain = match_wavelengths(scene, model, resample=resample).interpolate(raw)
    _refuse(scene, model, found, plain, unlike)
    times = f", but {found.factor:g} times that" if found.factor else ""
    watcher.warn(
        f"{unlike}{times}: other light, or another offset or gain? look at the map before you "
        "trust it"
    )
    return match


def _refuse(scene: Scene, model: ModelBands, found: Difference, plain: Array, unlike: str) -> None:
    """Refuse numbers that differ as `found` says; raw ones are `plain (n, bands)`.

    Not where they differ slightly, nor where both sides say their unit and do not contradict what
    the numbers say. Of radiance there are several units, of which a scale does not tell which.
    """
    assert model.numbers is not None
    numbers, here = model.numbers, scene.units or as_they_are(scene.bands)
    # What the scene's raw numbers must be multiplied by to be the model's physical ones.
    apart = difference(numbers.physical, plain)
    if here.said and numbers.units.said and not here.given:
        if apart is None:
            raise UnitsError(
                f"{unlike} by its own scale ({here.source}), but without it they are, as if a "
                "program had applied it and kept it: pass --scale 1 to take them as they are, or "
                "--force to believe the scale"
            )
        if found.factor is not None and "radiance" in (here.kind, numbers.units.kind):
            way = "" if apart.factor is None else f"pass --scale {1 / apart.factor:g}, "
            raise UnitsError(
                f"{unlike}, but {found.factor:g} times that, as if one were radiance in "
                "uW/cm2/nm/sr and the other in W/m2/um/sr; expected a scene in the unit that it "
                f"was trained on: {way}convert it, or --force to go on with the numbers as they are"
            )
        return
    if found.slight:
        return
    if here.given:
        raise UnitsError(
            f"{unlike}, with --scale {here.scale[0]:g}; expected a factor that brings them there: "
            "leave it out or pass another, or --force too to go on"
        )
    if apart is None or apart.factor is not None:
        factor = 1.0 if apart is None or apart.factor is None else 1 / apart.factor
        times = f"but {found.factor:g} times that" if found.factor else "but in another unit"
        raise UnitsError(
            f"{unlike}, {times}; expected a scene in the unit that it was trained on: pass "
            f"--scale {factor:g} if that is what lies between them, or --force to go on with the "
            "numbers as they are"
        )
    raise UnitsError(
        f"{unlike}, and no single factor explains it; expected a scene in the unit that it was "
        "trained on: convert it, pass --scale F (numbers times F), or --force to go on with them "
        "as they are"
    )
