from __future__ import annotations

import pytest

from hsi_ssl.libraries.names import is_mixture, materials, names_minerals


def test_samples_of_one_mineral_share_its_name() -> None:
    names = (
        "Alunite GDS84 Na03",
        "alunite_2",
        "Hornblende HS16.3B",
        "Hornblende_Fe HS115.3B",
        "Douglas-Fir YNP-DF-1",
        "Carbon_Black GDS68",
        "andradite WS474",
    )
    assert materials(names) == (
        "Alunite",
        "Alunite",
        "Hornblende",
        "Hornblende",
        "Douglas-Fir",
        "Carbon_Black",
        "Andradite",
    )


def test_members_of_the_chlorite_group_are_chlorite() -> None:
    names = ("Chlorite SMR-13.a", "Clinochlore GDS159", "Clinochlore_Fe GDS157", "Thuringite S1")
    assert set(materials(names)) == {"Chlorite"}


def test_mixtures_keep_their_whole_name() -> None:
    found = materials(("Calcite WS272", "Calcite+Talc PC99-1G", "Alunite0.35K+.65Na CU91"))
    assert found == ("Calcite", "Calcite+Talc", "Alunite0.35K+.65Na")
    assert [is_mixture(material) for material in found] == [False, True, True]


def test_a_number_alone_is_a_name_too() -> None:
    assert materials(("32", "", "kaolinite;")) == ("32", "", "Kaolinite")


@pytest.mark.parametrize(
    ("names", "file", "says", "expected"),
    [
        (("Alunite GDS84 Na03 s06av95a=a", "Talc TL2702 s06av95a=b"), "lab.sli", "", True),
        (("Acmite NMNH133746 Pyroxene BECKb AREF",), "lab.sli", "", True),
        (("Acmite NMNH133746",), "s07_AV95_envi.sli", "", True),
        (("Acmite NMNH133746",), "splib07a.csv", "", True),
        (("Alunite 1", "Alunite 2"), "lab.sli", "from the USGS Spectral Library", True),
        (("Alunite 1", "Alunite 2"), "lab.csv", "# ECOSTRESS spectral library 1.0", True),
        (("Alunite 1", "Alunite 2"), "lab.csv", "", False),
        (("oak crown 3", "oak leaf"), "september_s07.csv", "asterisks are repeats", False),
        (("oak", "s06av95a=a talc", "grass"), "own.sli", "New spectral library file", False),
    ],
)
def test_a_library_says_whether_its_names_begin_with_minerals(
    names: tuple[str, ...], file: str, says: str, expected: bool
) -> None:
    assert names_minerals(names, file, says) is expected
