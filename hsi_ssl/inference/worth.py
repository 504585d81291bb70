"""What a generative part is worth: whether Bayes' rule with it finds the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POOR = 0.5
"""Share of q(y|x)'s macro-F1 below which what the generative part says is called little."""


def poor_in_words(card: Mapping[str, Any]) -> str | None:
    """A sentence where Bayes' rule finds far less than q(y|x) on the validation pixels, or None.

    `card`: of one label set. Without validation pixels nobody knows.
    """
    by_rule = card.get("metrics", {}).get("validation_by_rule", {})
    bayes, classifier = (by_rule.get(rule, {}).get("macro_f1") for rule in ("bayes", "classifier"))
    if bayes is None or classifier is None or bayes >= POOR * classifier:
        return None
    return (
        "the generative part tells classes apart poorly (macro-F1 on the validation pixels "
        f"{bayes:.2f} by Bayes' rule, {classifier:.2f} by q(y|x)): what it generates of a class, "
        "and novelty by its likelihood, say little of that class"
    )
