"""A classifier of any number of label sets, seen as one of one of them."""

from __future__ import annotations

from torch import Tensor, nn

from hsi_ssl.models.classifiers.base import ClassifierModel


class OneHead(nn.Module):
    """What `OneLabelSet` is of a declared model: no free slots, and nothing that generates."""

    free = 0

    def __init__(self, model: ClassifierModel, place: int = 0) -> None:
        """`place`: of the label set."""
        super().__init__()
        self.whole, self.place = model, place

    @property
    def classes(self) -> int:
        """K, the labelled classes."""
        return self.whole.counts[self.place]

    @property
    def alone(self) -> bool:
        """Whether the model has no other label set."""
        return len(self.whole.counts) == 1

    def rows(self, *, every_class: bool) -> int:
        """How many rows of a network's layers a pixel takes."""
        del every_class
        return 1

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x), `(N, K)`, of `x (N, D)`."""
        return self.whole.log_q_each(x)[self.place]
