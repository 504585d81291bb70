"""Whether a generative part tells classes apart."""

from __future__ import annotations

from typing import Any

from hsi_ssl.inference.worth import poor_in_words


def card(**macro_f1: float) -> dict[str, Any]:
    by_rule = {rule: {"macro_f1": value} for rule, value in macro_f1.items()}
    return {"metrics": {"validation_by_rule": by_rule}}


def test_it_is_said_where_bayes_rule_finds_less_than_half() -> None:
    said = poor_in_words(card(classifier=0.82, bayes=0.29))
    assert said is not None
    assert "0.29 by Bayes' rule, 0.82 by q(y|x)" in said


def test_otherwise_nothing_is_said() -> None:
    assert poor_in_words(card(classifier=0.8, bayes=0.6)) is None
    assert poor_in_words(card(classifier=0.8)) is None
    assert poor_in_words({}) is None
