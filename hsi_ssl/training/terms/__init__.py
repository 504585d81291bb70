"""What training a semi-supervised model minimises: a sum of named terms, each a file here.

The card's sentence and the log's columns are written from this list. A term is added by a file
and a line in `TERMS`.
"""

from __future__ import annotations

from hsi_ssl.training.terms.balance import Balance
from hsi_ssl.training.terms.bound import Bound
from hsi_ssl.training.terms.cross_entropy import CrossEntropy
from hsi_ssl.training.terms.feature_prior import FeaturePrior
from hsi_ssl.training.terms.pseudo_labels import PseudoLabels
from hsi_ssl.training.terms.step import Step, Term
from hsi_ssl.training.terms.virtual_adversarial import VirtualAdversarial

TERMS: tuple[Term, ...] = (
    Bound(),
    FeaturePrior(),
    CrossEntropy(),
    PseudoLabels(),
    VirtualAdversarial(),
    Balance(),
)

__all__ = ["TERMS", "Step", "Term"]
