"""What training a semi-supervised model minimises: a sum of named terms, each a file here.

The card's sentence and the log's columns are written from this list. To add one: a class as
`step.Term` describes it, and a line in `TERMS`; in another package, an entry point in the group
`hsi_ssl.terms`. The setting `[m2.terms]` gives weights to those that have no setting of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsi_ssl.errors import SettingsError
from hsi_ssl.registry import Registry

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings
    from hsi_ssl.training.terms.step import Term

HOME = "hsi_ssl.training.terms"
TERMS: Registry[type[Term]] = Registry(
    "hsi_ssl.terms",
    "term",
    {
        "bound": f"{HOME}.bound:Bound",
        "feature_prior": f"{HOME}.feature_prior:FeaturePrior",
        "cross_entropy": f"{HOME}.cross_entropy:CrossEntropy",
        "pseudo_labels": f"{HOME}.pseudo_labels:PseudoLabels",
        "steadiness": f"{HOME}.virtual_adversarial:VirtualAdversarial",
        "balance": f"{HOME}.balance:Balance",
    },
)


def asked_for(settings: M2Settings) -> list[Term]:
    """The terms with a weight.

    Raises
    ------
    SettingsError
        A weight is given to a term that is none, or that has a setting of its own.
    """
    terms = [kind() for kind in TERMS.values()]
    plain = settings.model_copy(update={"terms": {}})
    own = {term.name for term in terms if term.weight(settings) == term.weight(plain)}
    for name in settings.terms:
        if name not in TERMS:
            raise SettingsError(f"[m2.terms] weighs {name}; there are {TERMS.in_words()}")
        if name in own and settings.terms[name]:
            raise SettingsError(f"[m2.terms] weighs {name}, which has a setting of its own")
    return [term for term in terms if term.weight(settings)]
