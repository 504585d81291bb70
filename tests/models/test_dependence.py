"""Declared orders of dependence."""

from __future__ import annotations

import pytest

from hsi_ssl.errors import SettingsError
from hsi_ssl.models.dependence import Factor, generation_of, inference_of

LABELS = ("rock", "mineral")


def test_labels_may_all_come_before_z() -> None:
    q = inference_of(["rock", "mineral | rock", "z | rock, mineral"], LABELS)
    assert q.before_latent == LABELS
    assert not q.after_latent


def test_lines_say_order_and_parents() -> None:
    q = inference_of(["mineral", "z|mineral", " rock | z , mineral"], LABELS)
    assert q.factors[2] == Factor("rock", ("z", "mineral"))
    assert q.parents("z") == ("mineral",)
    assert (q.before_latent, q.after_latent) == (("mineral",), ("rock",))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["rock | mineral", "mineral", "z", "x | z"], "has to come in a line before it"),
        (["rock", "z", "x | z"], "no line for mineral"),
        (["rock", "rock", "mineral", "z", "x | z"], "second time"),
        (["rock", "mineral", "colour", "z", "x | z"], "'colour'"),
        (["rock", "mineral", "x | rock", "z"], "x comes last"),
        (["rock", "mineral", "z", "x | rock, mineral"], "with z in it"),
    ],
)
def test_mistakes_are_named(lines: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        generation_of(lines, LABELS)


def test_inference_has_no_x() -> None:
    with pytest.raises(SettingsError, match="'x"):
        inference_of(["rock", "mineral", "z", "x | z"], LABELS)
