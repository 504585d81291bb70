"""Scenes of a dataset in one unit: as their files say, or refused where that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hsi_ssl.datasets.learnt_numbers import LearntNumbers, difference
from hsi_ssl.errors import UnitsError
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.sources import Sources
from hsi_ssl.scenes.fills import tell_undeclared
from hsi_ssl.scenes.sample import sample
from hsi_ssl.scenes.scene import Array, Scene
from hsi_ssl.scenes.units import physical, refuse_scaled_twice
from hsi_ssl.watcher import Watcher


def in_one_unit(sources: Sources, watcher: Watcher) -> Sources:
    """The sources with all scenes in one unit.

    The scenes have the same bands. Where all files tell the same scale and offset, or none, numbers
    stay raw. Where they tell different ones, numbers become physical, float32. A file that tells
    none beside others that do is taken to be in their raw unit if its numbers lie where theirs do;
    if they lie where the physical numbers of the others do, all become physical.

    Raises
    ------
    UnitsError
        One scene holds reflectance and another radiance; the numbers of two scenes of which not
        both tell their unit are a factor apart; a scene's numbers were scaled twice.
    """
    scenes = [source.scene for source in sources.scenes]
    raw = []
    for scene in scenes:
        bands = np.flatnonzero(scene.good)
        found = sample(scene, bands)
        tell_undeclared(scene, found, watcher)
        if len(found.spectra):
            refuse_scaled_twice(scene, found.spectra, bands)
        raw.append(found.spectra)
    _refuse_kinds(scenes)
    told = [scene.units for scene in scenes if scene.units is not None and scene.units.said]
    same = all(units.same_numbers(told[0]) for units in told)
    if same or len(told) < len(scenes):
        if not same:
            silent = next(s for s in scenes if s.units is None or not s.units.said)
            raise UnitsError(
                f"{silent.path} tells no scale and the other scenes tell different ones; expected "
                "each to tell its own: write it into its header, or prepare that scene apart"
            )
        if told and len(told) < len(scenes) and _silent_are_physical(scenes, raw):
            watcher.say(
                f"numbers of scenes that tell a scale ({told[0].source}) are brought to those of "
                "the scenes that tell none"
            )
            return _each(sources, physical)
        _compare(scenes, raw, watcher)
        if not told:
            return sources
        return _each(sources, lambda scene: replace(scene, units=told[0]))
    watcher.say(
        "scenes tell different scales: their numbers are brought to one unit, "
        f"{told[0].kind or 'as each file says'}"
    )
    return _each(sources, physical)


def _silent_are_physical(scenes: Sequence[Scene], raw: Sequence[Array]) -> bool:
    """Whether scenes that tell no scale hold the physical numbers of those that do, not the raw.

    `raw`: spectra of each at its good bands.
    """
    told = next(
        (i for i, one in enumerate(scenes) if one.units and one.units.said and len(raw[i])), None
    )
    if told is None:
        return False
    known = scenes[told]
    assert known.units is not None
    fits = []
    for scene, some in zip(scenes, raw, strict=True):
        both = known.good & scene.good
        if (scene.units and scene.units.said) or not len(some) or not both.any():
            continue
        units = known.units.of_bands(both)
        learnt = LearntNumbers.of(raw[told][:, both[known.good]], units)
        here = some[:, both[scene.good]]
        apart = difference(learnt, here)
        raw_too = apart is None or apart.slight
        fits.append(not raw_too and difference(learnt.physical, here) is None)
    return bool(fits) and all(fits)


def _compare(scenes: Sequence[Scene], raw: Sequence[Array], watcher: Watcher) -> None:
    """Refuse scenes whose raw numbers are a factor apart, and say where they are apart otherwise.

    Bands that one of two scenes calls bad are left out.
    """
    known = next((i for i, some in enumerate(raw) if len(some)), None)
    if known is None:
        return
    odd = []
    for scene, some in zip(scenes[known + 1 :], raw[known + 1 :], strict=True):
        both = scenes[known].good & scene.good
        if not len(some) or not both.any():
            continue
        first = LearntNumbers.of(raw[known][:, both[scenes[known].good]], None)
        found = difference(first, some[:, both[scene.good]])
        if found is None or found.slight:
            continue
        if found.factor is not None:
            raise UnitsError(
                f"the numbers of {scene.path} are {found.factor:g} times those of "
                f"{scenes[known].path} ({found.numbers}); expected scenes in one unit: write the "
                "scale of each into its header, convert one, or prepare them apart"
            )
        odd.append(scene.path.name)
    if odd:
        watcher.warn(
            f"the numbers of {listed(odd, len(odd))} are unlike those of "
            f"{scenes[known].path.name}, though no single factor explains it: are they in one unit?"
        )


def _refuse_kinds(scenes: Sequence[Scene]) -> None:
    kinds = {scene.units.kind: scene for scene in scenes if scene.units and scene.units.kind}
    if len(kinds) > 1:
        what = " and ".join(f"{scene.path} holds {kind}" for kind, scene in kinds.items())
        raise UnitsError(f"{what}; expected scenes of one kind: prepare them apart")


def _each(sources: Sources, change: Callable[[Scene], Scene]) -> Sources:
    def changed(one: Sources) -> Sources:
        return replace(
            one,
            scenes=tuple(replace(s, scene=change(s.scene)) for s in one.scenes),
            others=tuple(map(changed, one.others)),
        )

    return changed(sources)
