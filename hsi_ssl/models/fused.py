"""L(x, y) of many classes and its gradient, some at a time in memory that stays in the cache.

Autograd keeps every layer of every class until the backward pass, a megabyte each for 500 pixels
and 500 units, so that a step waits for memory. Here some classes go forward and backward, in the
same few buffers, before the next begin. That is possible because what the costs will be multiplied
by, q(y|x), is known beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.models.bounds import cost_l
from hsi_ssl.models.likelihoods import LOG_2_PI, Gaussian, Likelihood
from hsi_ssl.models.networks import LOGVAR_HIGH, LOGVAR_LOW, ClassPerceptron
from hsi_ssl.models.priors import GaussianPerClass, Prior

if TYPE_CHECKING:
    from hsi_ssl.models.m2 import M2

ROWS = 1536
"""Pixels times classes at a time: with 500 units a buffer is 3 MB then."""


def can_fuse(model: M2, x: Tensor) -> bool:
    """Whether `weighted_costs` knows the model's networks and pays; it gives no gradient to x.

    A GPU has no cache to stay in and is faster with all classes at once.
    """
    networks = (model.encoder, model.decoder)
    known = all(len(n.rest) and type(n.rest[0]) in ACTIVATE for n in networks)
    return known and x.device.type == "cpu" and not x.requires_grad


def weighted_costs(
    model: M2, x: Tensor, classes: Tensor, weights: Tensor, eps: Tensor, kl_weight: float
) -> tuple[Tensor, Tensor]:
    """sum_sn w_sn L(x_n, y_sn), a scalar with gradient, and L(x_n, y_sn) `(S, N)` without.

    `x (N, D)`; `classes`: y, `(S,)` where they are the same for every pixel, else `(S, N)`;
    `weights (S, N)`: w, taken as constants; `eps (S, N, J)`: the draws of N(0, I) for z. Computes
    in bfloat16 under autocast, as the models do.
    """
    hidden = model.encoder.from_x(x)
    total, costs = _WeightedCosts.apply(  # type: ignore[no-untyped-call]
        hidden, model, x, classes, weights, eps, kl_weight, *_parameters(model)
    )
    return total, costs


def _parameters(model: M2) -> list[Tensor]:
    """In the order of the gradients below; the encoder's first layer is outside."""
    encoder, decoder = model.encoder, model.decoder
    prior, likelihood = model.prior, model.likelihood
    return [
        *_of_class(encoder), *encoder.rest.parameters(),
        *_of_class(decoder), *decoder.rest.parameters(), *decoder.from_x.parameters(),
        *([prior.mean, prior.logvar] if isinstance(prior, GaussianPerClass) else []),
        *([likelihood.logvar] if isinstance(likelihood, Gaussian) else []),
    ]  # fmt: skip


def _of_class(network: ClassPerceptron) -> list[Tensor]:
    return [] if network.from_y is None else [network.from_y]


class _WeightedCosts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        model: M2,
        x: Tensor,
        classes: Tensor,
        weights: Tensor,
        eps: Tensor,
        kl_weight: float,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):
            step = _Step(model, hidden, x, kl_weight)
            costs = torch.empty_like(weights)
            for start in range(0, len(x), ROWS):
                rows = slice(start, min(start + ROWS, len(x)))
                at_once = ROWS // (rows.stop - rows.start)
                for first in range(0, len(classes), at_once):
                    some = slice(first, first + at_once)
                    y = classes[some] if classes.ndim == 1 else classes[some, rows]
                    costs[some, rows] = step.run(rows, y, weights[some, rows], eps[some, rows])
        ctx.save_for_backward(step.g_hidden, *step.gradients())
        ctx.mark_non_differentiable(costs)
        return (weights * costs).sum(), costs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        g = grad_outputs[0]
        g_hidden, *gradients = (g * t for t in ctx.saved_tensors)
        return (g_hidden, None, None, None, None, None, None, *gradients)


class _Step:
    """Forward and backward of some pixels and classes at a time; gradients add up."""

    def __init__(self, model: M2, hidden: Tensor, x: Tensor, kl_weight: float) -> None:
        self.model, self.hidden, self.x = model, hidden, x
        self.encoder = _Network(model.encoder, hidden.dtype)
        self.decoder = _Network(model.decoder, hidden.dtype)
        from_x = model.decoder.from_x
        self.from_z = from_x.weight.to(hidden.dtype)
        self.decoder.from_y += from_x.bias
        self.g_from_z = torch.zeros_like(from_x.weight)
        self.divergence = _Divergence(model.prior, kl_weight)
        self.density = _Density(model.likelihood)
        self.g_hidden = torch.zeros_like(hidden, dtype=x.dtype)

    def run(self, rows: slice, y: Tensor, w: Tensor, eps: Tensor) -> Tensor:
        """L(x, y) `(s, n)` of n pixels, and its gradient times `w (s, n)` into the sums.

        Networks see s n rows; what is between them keeps both axes.
        """
        x, (s, n) = self.x[rows], w.shape
        encoder, decoder = self.encoder, self.decoder
        first = encoder.first(s * n)
        torch.add(self.hidden[rows], encoder.of_class(y), out=first.view(s, n, -1))
        # q(z|x, y) in three digits is as good; p(x|y, z) is not.
        head = encoder.forward(s * n, precise=False).view(s, n, -1)
        mean, raw = head.chunk(2, dim=-1)
        logvar = raw.clamp(LOGVAR_LOW, LOGVAR_HIGH)
        sd = torch.exp(0.5 * logvar)
        spread = sd * eps
        z = mean + spread
        kl, g_mean, g_logvar = self.divergence.run(mean, logvar, y, w)

        low = z.to(self.hidden.dtype).view(s * n, -1)
        first = decoder.first(s * n)
        torch.mm(low, self.from_z.T, out=first)
        first.view(s, n, -1).add_(decoder.of_class(y))
        out = decoder.forward(s * n, precise=True).view(s, n, -1)
        log_p_x, g_out = self.density.run(x, out, w)

        g_pre = decoder.backward(g_out.reshape(s * n, -1), y)
        self.g_from_z += g_pre.T @ low
        g_z = (g_pre @ self.from_z).to(x.dtype).view(s, n, -1)
        g_logvar = torch.addcmul(g_logvar, g_z, spread, value=0.5)
        g_logvar = torch.ops.aten.hardtanh_backward(g_logvar, raw, LOGVAR_LOW, LOGVAR_HIGH)
        g_head = torch.cat([g_mean + g_z, g_logvar], -1)
        for g_first in encoder.backward(g_head.view(s * n, -1), y).view(s, n, -1):
            self.g_hidden[rows] += g_first
        log_p_y = self.model.log_p_y[y]
        log_p_y = log_p_y if y.ndim > 1 else log_p_y[:, None]
        return cost_l(log_p_x, log_p_y, kl, self.divergence.kl_weight)

    def gradients(self) -> list[Tensor]:
        """In the order of `_parameters`."""
        return [
            *self.encoder.gradients(), *self.decoder.gradients(),
            self.g_from_z, self.decoder.g_from_y.sum(0),
            *self.divergence.gradients, *self.density.gradients,
        ]  # fmt: skip


class _Network:
    """What follows the first linear layer of a `ClassPerceptron`, with its buffers.

    Layers are of type `dtype`, all sums of gradients and a `precise` output are not rounded.
    """

    def __init__(self, network: ClassPerceptron, dtype: torch.dtype) -> None:
        kind = type(network.rest[0])
        self.activate, self.derive = ACTIVATE[kind], DERIVE[kind]
        self.layers = [layer for layer in network.rest if isinstance(layer, nn.Linear)]
        self.weights = [layer.weight.to(dtype) for layer in self.layers]
        self.biases = [layer.bias.to(dtype) for layer in self.layers]
        self.sees_class = network.from_y is not None
        # Where no class is seen: one row that all share, of what does not depend on them.
        nothing = network.from_x.weight.new_zeros(1, network.from_x.out_features)
        from_y = nothing if network.from_y is None else network.from_y.detach()
        self.from_y = from_y.to(dtype, copy=True)
        self.values = [w.new_empty(ROWS, w.shape[1]) for w in self.weights]
        self.slopes = [torch.empty_like(v) for v in self.values]
        self.g_from_y = torch.zeros_like(from_y)
        self.g_weights = [torch.zeros_like(layer.weight) for layer in self.layers]
        self.g_biases = [torch.zeros_like(layer.bias) for layer in self.layers]

    def first(self, n: int) -> Tensor:
        """Where to put the first hidden layer of n rows, before its activation."""
        return self.values[0][:n]

    def of_class(self, y: Tensor) -> Tensor:
        """What classes `(s,)` or `(s, n)` add to the first layer: `(s, 1 or n, units)`."""
        rows = self.from_y.index_select(0, self._row(y))
        return rows.view(*(y.shape if y.ndim > 1 else (len(y), 1)), -1)

    def forward(self, n: int, *, precise: bool) -> Tensor:
        """The output of n rows."""
        for i, value in enumerate(self.values[:-1]):
            self.activate(value[:n])
            out = self.values[i + 1][:n]
            torch.addmm(self.biases[i], value[:n], self.weights[i].T, out=out)
        last, layer = self.values[-1][:n], self.layers[-1]
        self.activate(last)
        if precise:
            return F.linear(last.to(layer.weight.dtype), layer.weight, layer.bias)
        return F.linear(last, self.weights[-1], self.biases[-1]).to(layer.weight.dtype)

    def backward(self, g: Tensor, y: Tensor) -> Tensor:
        """The gradient at the first layer before its activation, from that at the output."""
        n = len(g)
        self.g_biases[-1] += g.sum(0)
        for i in reversed(range(len(self.layers))):
            low, value, slope = g.to(self.values[i].dtype), self.values[i][:n], self.slopes[i][:n]
            self.g_weights[i] += low.T @ value
            torch.mm(low, self.weights[i], out=slope)
            self.derive(slope, value)
            g = slope
            if i:
                self.g_biases[i - 1] += g.sum(0)
        of_class = g if y.ndim > 1 else g.view(len(y), -1, g.shape[1]).sum(1)
        self.g_from_y.index_add_(0, self._row(y), of_class.to(self.g_from_y.dtype))
        return g

    def _row(self, y: Tensor) -> Tensor:
        return y.flatten() if self.sees_class else torch.zeros_like(y).flatten()

    def gradients(self) -> list[Tensor]:
        """Of `from_y` where classes are seen, then weight and bias of each layer."""
        pairs = zip(self.g_weights, self.g_biases, strict=True)
        of_class = [self.g_from_y] if self.sees_class else []
        return [*of_class, *(g for pair in pairs for g in pair)]


class _Divergence:
    """KL(q(z|x, y) || p(z|y)) and its gradient at q's mean and log-variance and at the prior's."""

    def __init__(self, prior: Prior, kl_weight: float) -> None:
        self.prior, self.kl_weight = prior, kl_weight
        self.gradients: list[Tensor] = []
        if isinstance(prior, GaussianPerClass):
            self.logvar = prior.logvar
            self.scale = torch.exp(-0.5 * self.logvar)
            self.gradients = [torch.zeros_like(prior.mean), torch.zeros_like(self.logvar)]

    def run(self, mean: Tensor, logvar: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, ...]:
        """KL `(s, n)`; the gradient of `w (s, n)` times it at `mean` and `logvar (s, n, J)`."""
        index = y if y.ndim > 1 else y[:, None]
        white, logvar = self.prior.whitened(mean, logvar, index)
        variance = torch.exp(logvar)
        squares = white * white
        kl = 0.5 * (squares + variance - logvar - 1).sum(-1)
        w_kl = self.kl_weight * w[..., None]
        g_mean, g_logvar = w_kl * white, 0.5 * w_kl * (variance - 1)
        if self.gradients:
            g_mean *= self.scale[index]
            of_mean, of_logvar = g_mean, torch.addcmul(g_logvar, w_kl, squares, value=0.5)
            if y.ndim == 1:
                of_mean, of_logvar = of_mean.sum(1), of_logvar.sum(1)
            for total, g in zip(self.gradients, (of_mean, of_logvar), strict=True):
                total.index_add_(0, y.flatten(), g.reshape(-1, g.shape[-1]), alpha=-1)
        return kl, g_mean, g_logvar


class _Density:
    """log p(x|y, z) and the gradient of -log p at the decoder's output and at log-variances."""

    def __init__(self, likelihood: Likelihood) -> None:
        self.likelihood = likelihood
        self.gradients: list[Tensor] = []
        if isinstance(likelihood, Gaussian):
            self.logvar = likelihood.logvar
            self.precision = torch.exp(-self.logvar)
            self.constant = self.logvar.sum() + len(self.logvar) * LOG_2_PI
            self.gradients = [torch.zeros_like(self.logvar)]

    def run(self, x: Tensor, out: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """log p `(s, n)`, and the gradient of -sum w log p at the output, `(s, n, D)`."""
        if not self.gradients:
            with torch.enable_grad():
                out.requires_grad_()
                log_p = self.likelihood.log_density(x, out)
                (g,) = torch.autograd.grad(log_p, out, -w)
            return log_p.detach(), g
        error = out - x
        scaled = error * self.precision
        g_out = scaled * w[..., None]
        self.gradients[0] += 0.5 * (w.sum() - (g_out * error).sum((0, 1)))
        return -0.5 * ((scaled * error).sum(-1) + self.constant), g_out


def _derive_relu(g: Tensor, value: Tensor) -> None:
    torch.ops.aten.threshold_backward.grad_input(g, value, 0, grad_input=g)


def _derive_softplus(g: Tensor, value: Tensor) -> None:
    g.mul_(torch.expm1(-value).neg_())


def _derive_tanh(g: Tensor, value: Tensor) -> None:
    torch.ops.aten.tanh_backward.grad_input(g, value, grad_input=g)


ACTIVATE: dict[type[nn.Module], Callable[[Tensor], object]] = {
    nn.ReLU: torch.relu_,
    nn.Softplus: lambda value: value.copy_(F.softplus(value)),
    nn.Tanh: torch.tanh_,
}
"""Activations in place."""
DERIVE: dict[type[nn.Module], Callable[[Tensor, Tensor], None]] = {
    nn.ReLU: _derive_relu,
    nn.Softplus: _derive_softplus,
    nn.Tanh: _derive_tanh,
}
"""Their derivative into a gradient in place, by the value after the activation."""
