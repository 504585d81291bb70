"""Spectra of a file named by a library: bands that both share, bands of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.library import SpectralLibrary, spectrum
from hsi_ssl.libraries.naming import name_spectra
from hsi_ssl.scenes.minerals import MINERALS

FINE = np.arange(1000.0, 2501.0)
NAMES = ("alunite", "calcite", "gypsum", "kaolinite", "muscovite")


def measured(
    file: str, seed: int, level: float, bands: np.ndarray = FINE, names: tuple[str, ...] = NAMES
) -> SpectralLibrary:
    """Minerals with noise of this level where water vapour takes the light."""
    rng = np.random.default_rng(seed)
    vapour = ((bands > 1800) & (bands < 1960)) | (bands > 2420)
    spectra = [
        MINERALS[name].reflectance(bands)
        * (1 + rng.normal(0, 1, len(bands)) * np.where(vapour, level, 0.0005))
        for name in names
    ]
    made = tuple(spectrum(n, n, bands, s) for n, s in zip(names, spectra, strict=True))
    return SpectralLibrary(Path(file), made)


@pytest.mark.parametrize("level", [0.0005, 0.1])
@pytest.mark.parametrize("step", [1, 7])
def test_a_library_is_at_no_angle_from_itself(level: float, step: int) -> None:
    library = measured("field.csv", 1, level, FINE[::step])
    found, _ = name_spectra(library, library)
    assert [named.matches[0].name for named in found] == list(NAMES)
    assert max(named.matches[0].angle for named in found) < 1e-4


def test_deleted_points_change_nothing_of_that() -> None:
    library = measured("field.csv", 1, 0.0005)
    holed = library.spectra[0].reflectance.copy()
    holed[300:340] = np.nan
    first = spectrum("alunite", "alunite", FINE, holed)
    library = SpectralLibrary(library.path, (first, *library.spectra[1:]))
    found, _ = name_spectra(library, library)
    assert max(named.matches[0].angle for named in found) < 1e-4


def test_two_measurements_of_a_mineral_are_near_without_their_noise() -> None:
    found, notes = name_spectra(measured("a.csv", 1, 0.1), measured("b.csv", 2, 0.1))
    assert [named.matches[0].name for named in found] == list(NAMES)
    assert max(named.matches[0].angle for named in found) < 5
    assert "left out what is noise in 5 of 5 spectra of a.csv: " in notes[-2]
    for named in found:
        (low, high), (end, last) = named.left_out_nm
        assert low == pytest.approx(1800, abs=25)
        assert high == pytest.approx(1960, abs=25)
        assert end == pytest.approx(2420, abs=25)
        assert last == 2500
        assert named.to_json()["left_out_nm"] == [[low, high], [end, last]]


def test_where_the_library_is_noise_it_is_said_of_the_library() -> None:
    found, notes = name_spectra(measured("a.csv", 1, 0.0005), measured("b.csv", 2, 0.1))
    assert max(named.matches[0].angle for named in found) < 5
    assert [note for note in notes if "noise" in note] == [notes[-1]]
    assert notes[-1].startswith("left out what is noise in most spectra of b.csv: ")


def test_noise_of_one_spectrum_is_its_own() -> None:
    noisy = measured("a.csv", 1, 0.1, names=("gypsum",))
    clean = measured("a.csv", 1, 0.0005, names=("calcite", "alunite"))
    both = SpectralLibrary(Path("a.csv"), (*noisy.spectra, *clean.spectra))
    found, notes = name_spectra(both, measured("b.csv", 2, 0.0005))
    assert [bool(named.left_out_nm) for named in found] == [True, False, False]
    assert "noise in 1 of 3 spectra of a.csv" in notes[-1]
    # And of a background it counts in all spectra.
    found, _ = name_spectra(both, measured("b.csv", 2, 0.0005), background="gypsum")
    assert [bool(named.left_out_nm) for named in found] == [True, True]


def test_one_spectrum_alone() -> None:
    alone = measured("a.csv", 1, 0.1, names=("gypsum",))
    _, notes = name_spectra(alone, measured("b.csv", 2, 0.0005))
    assert notes[-1].startswith("left out what is noise of a.csv: 1")


def test_clean_spectra_lose_nothing() -> None:
    found, notes = name_spectra(measured("a.csv", 1, 0.0005), measured("b.csv", 2, 0.0005))
    assert not any(named.left_out_nm for named in found)
    assert notes == ()


def test_spectra_without_a_value_and_other_bands_are_refused() -> None:
    library = measured("b.csv", 2, 0.0005)
    empty = SpectralLibrary(Path("a.csv"), (spectrum("x", "x", FINE, np.zeros(len(FINE))),))
    with pytest.raises(LibraryError, match=r"x in a\.csv holds no positive value"):
        name_spectra(empty, library)
    shifted = spectrum("mean", "mean", FINE + 0.5, np.ones(len(FINE)))
    both = SpectralLibrary(Path("a.csv"), (*library.spectra, shifted))
    with pytest.raises(LibraryError, match="mean and alunite are not at the same bands"):
        name_spectra(both, library, background="mean")
    twice = SpectralLibrary(Path("a.csv"), (*library.spectra, *library.spectra))
    with pytest.raises(LibraryError, match="has 2 spectra called 'gypsum'"):
        name_spectra(twice, library, background="gypsum")
