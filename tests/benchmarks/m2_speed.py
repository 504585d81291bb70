"""How fast M2 trains, exact and with fewer classes, beside Pyro's enumerated model.

    pip install --target pyro pyro-ppl==1.9.2
    PYTHONPATH=pyro python tests/benchmarks/m2_speed.py [--report reports/m2-speed.md]

A step takes 500 unlabelled and 200 labelled spectra through M2 with 500 hidden units and 50 latent
ones: cost, gradient, clipping, Adam. All ways take turns, some steps each; told is the median over
the rounds. Without Pyro its columns are left out.

- exact: every class at once
- 2 + 1, 1 + 1: the two most probable classes, or the one, and one drawn from the rest
- Pyro: the semi-supervised VAE of its examples (`ss_vae_M2.py`) with `TraceEnum_ELBO` and parallel
  enumeration, at the same sizes, activation and likelihood; with validation of arguments off; in a
  process of its own, as it is, and with products through oneDNN and memory kept as in our loop
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from m1_speed import matrix_product_rate
from machine import machine_in_words, today
from small_models import pixels, preset
from torch import Tensor, nn

from hsi_ssl.inference.precision import keep_freed_memory, quick_products, reduced
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.settings import M2Settings, Precision
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.loop import fit
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask
from hsi_ssl.training.validation import Validation
from hsi_ssl.watcher import SILENT

CPU = torch.device("cpu")
UNLABELLED, LABELLED, HIDDEN, LATENT = 500, 200, 500, 50
SIZES = ((10, 50), (40, 50), (100, 50), (10, 268), (100, 268))
"""Classes and bands."""
EXACT = {"exact": None, "2 + 1": 2, "1 + 1": 1}
SECONDS = 0.2
"""How long a way has its turn."""
Step = Callable[[], object]


def data(classes: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unlabelled spectra, labelled ones and their classes `(n, 1)`."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(UNLABELLED, width, generator=generator)
    labelled = torch.randn(LABELLED, width, generator=generator)
    return x, labelled, torch.randint(classes, (LABELLED, 1), generator=generator)


def model(classes: int, width: int, *, experts: bool = False) -> DeclaredVAE:
    """M2 as in the table; with the default's experts for q(y|x), or one network of its width."""
    defaults = M2Settings()
    return preset(
        "m2",
        torch.full((classes,), 1 / classes),
        width=width,
        latent=LATENT,
        hidden=(HIDDEN,),
        hidden_classifier=(defaults.hidden_classifier or (HIDDEN,)) if experts else (HIDDEN,),
        sd_floor=0.05,
        experts=len(defaults.experts) if experts else 1,
    )


def our_step(classes: int, width: int, way: str, precision: Precision) -> Step:
    """A step of M2 as the training loop makes it."""
    x, labelled, y = data(classes, width)
    m2 = model(classes, width)
    optimiser = torch.optim.Adam(m2.parameters(), lr=1e-3, fused=True)
    networks = [weights for child in m2.children() if (weights := list(child.parameters()))]
    generator = torch.Generator().manual_seed(0)
    unknown = torch.full((len(x), 1), -1)

    def cost() -> Tensor:
        cross_entropy = F.nll_loss(m2.log_q_each(labelled)[0], y[:, 0])
        l_mean = m2.cost(labelled, y, generator).mean()
        return l_mean + m2.cost(x, unknown, generator, exact=EXACT[way]).mean() + cross_entropy

    def step() -> None:
        with quick_products(CPU):
            with reduced(precision, CPU):
                found = cost()
            optimiser.zero_grad(set_to_none=True)
            found.backward()
            for network in networks:
                nn.utils.clip_grad_norm_(network, 10.0)
            optimiser.step()

    return step


def pyro_step(classes: int, width: int) -> Step:
    """Two steps of the basic loss and one of the auxiliary one, as `ss_vae_M2.py` makes them."""
    import pyro
    import pyro.distributions as dist
    from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO, config_enumerate
    from pyro.optim import Adam

    pyro.enable_validation(False)
    pyro.clear_param_store()
    torch.manual_seed(0)

    def perceptron(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))

    def beside(*parts: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(*(p.shape[:-1] for p in parts))
        return torch.cat([p.expand(*shape, p.shape[-1]) for p in parts], -1)

    class SSVAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder_y = perceptron(width, classes)
            self.encoder_z = perceptron(width + classes, 2 * LATENT)
            self.decoder = perceptron(LATENT + classes, width)
            self.log_sd = nn.Parameter(torch.zeros(width))

        def q_y(self, xs: Tensor) -> object:
            return dist.OneHotCategorical(torch.softmax(self.encoder_y(xs), -1))

        def model(self, xs: Tensor, ys: Tensor | None = None) -> None:
            pyro.module("ss_vae", self)
            with pyro.plate("data"):
                prior = xs.new_zeros(len(xs), LATENT), xs.new_ones(len(xs), LATENT)
                zs = pyro.sample("z", dist.Normal(*prior).to_event(1))
                uniform = xs.new_ones(len(xs), classes) / classes
                ys = pyro.sample("y", dist.OneHotCategorical(uniform), obs=ys)
                p_x = dist.Normal(self.decoder(beside(zs, ys)), self.log_sd.exp()).to_event(1)
                pyro.sample("x", p_x, obs=xs)

        def guide(self, xs: Tensor, ys: Tensor | None = None) -> None:
            with pyro.plate("data"):
                if ys is None:
                    ys = pyro.sample("y", self.q_y(xs))
                mean, log_sd = self.encoder_z(beside(xs, ys)).chunk(2, -1)
                pyro.sample("z", dist.Normal(mean, log_sd.exp()).to_event(1))

        def model_classify(self, xs: Tensor, ys: Tensor) -> None:
            pyro.module("ss_vae", self)
            with pyro.plate("data"), pyro.poutine.scale(scale=50.0):
                pyro.sample("y_aux", self.q_y(xs), obs=ys)

        def guide_classify(self, xs: Tensor, ys: Tensor) -> None:
            """Nothing to guess, as in the example."""

    vae, optimiser = SSVAE(), Adam({"lr": 1e-3})
    guide = config_enumerate(vae.guide, "parallel", expand=True)
    basic = SVI(vae.model, guide, optimiser, loss=TraceEnum_ELBO(max_plate_nesting=1))
    auxiliary = SVI(vae.model_classify, vae.guide_classify, optimiser, loss=Trace_ELBO())
    x, labelled, y = data(classes, width)
    one_hot = F.one_hot(y[:, 0], classes).float()

    def step() -> None:
        basic.step(x)
        basic.step(labelled, one_hot)
        auxiliary.step(labelled, one_hot)

    return step


def turn(step: Step) -> float:
    """Milliseconds a step, over a turn."""
    started, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < SECONDS or not done:
        step()
        done += 1
    return 1000 * spent / done


def serve_pyro(classes: int, width: int, *, tuned: bool) -> None:
    """A turn for each line of standard input; its time to standard output."""
    with ExitStack() as stack:
        if tuned:
            keep_freed_memory()
            stack.enter_context(quick_products(CPU))
        step = pyro_step(classes, width)
        step()
        print(flush=True)
        for _ in sys.stdin:
            print(turn(step), flush=True)


@contextmanager
def pyro_elsewhere(classes: int, width: int, *, tuned: bool) -> Iterator[Callable[[], float]]:
    """Pyro's turns, in a process that knows nothing of our settings."""
    sizes = [str(classes), str(width)]
    process = subprocess.Popen(
        [sys.executable, __file__, "--pyro", *sizes, *(["--tuned"] if tuned else [])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    ask, answer = process.stdin, process.stdout

    def take_turn() -> float:
        print(file=ask, flush=True)
        return float(answer.readline())

    answer.readline()
    try:
        yield take_turn
    finally:
        ask.close()
        process.wait()


def milliseconds(classes: int, width: int, rounds: int) -> dict[str, list[float]]:
    """Of a step, each way in each round; the ways take turns."""
    with ExitStack() as stack:
        turns: dict[str, Callable[[], float]] = {}
        for way in EXACT:
            for precision in ("float32", "bfloat16"):
                name = f"{way}, bf16" if precision == "bfloat16" else way
                turns[name] = partial(turn, our_step(classes, width, way, precision))
        if importlib.util.find_spec("pyro"):
            for name, tuned in (("Pyro", False), ("Pyro, tuned", True)):
                elsewhere = pyro_elsewhere(classes, width, tuned=tuned)
                turns[name] = stack.enter_context(elsewhere)
        for take in turns.values():
            take()
        found: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(rounds):
            for name, take in turns.items():
                found[name].append(take())
        return found


def epoch_of_2016(precision: Precision, *, exact_classes: int, experts: bool) -> float:
    """Seconds of an epoch of 98,000 unlabelled spectra of 268 bands in 100 slots, by the loop."""
    classes, width = 100, 268
    generator = torch.Generator().manual_seed(0)
    pool = torch.randn(98_000, width, generator=generator)
    inputs = Inputs(torch.randn(2_000, width, generator=generator))
    y = torch.randint(classes, (2_000, 1), generator=generator)
    settings = M2Settings(
        epochs=1, batch_unlabelled=UNLABELLED, batch_labelled=LABELLED,
        exact_classes=exact_classes, precision=precision, m1=None,
    )  # fmt: skip
    every = pixels(inputs, y, pool, settings, Validation(inputs, y))
    task = SemiSupervisedTask(model(classes, width, experts=experts), every, settings)
    with tempfile.TemporaryDirectory() as folder:
        found = fit(
            task, settings, Path(folder), identity={}, resume=False, watcher=SILENT,
            on_snapshot=lambda snapshots: None,
        )  # fmt: skip
    return found.progress.seconds


def ratio(one: list[float], other: list[float]) -> float:
    """The median over the rounds of how many times `one` is of `other`."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--pyro", type=int, nargs=2, metavar=("K", "D"), help=argparse.SUPPRESS)
    parser.add_argument("--tuned", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pyro:
        serve_pyro(*arguments.pyro, tuned=arguments.tuned)
        return
    if not importlib.util.find_spec("pyro"):
        print("Pyro left out: pip install --target pyro pyro-ppl==1.9.2, and PYTHONPATH=pyro")

    keep_freed_memory()
    plain_rate = matrix_product_rate(2048)
    with quick_products(CPU):
        quick_rate = matrix_product_rate(2048)
    bf16_rate = matrix_product_rate(2048, dtype=torch.bfloat16)
    lines = [
        f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}; large matrix products: "
        f"float32 {plain_rate / 1e9:.0f} GFLOP/s as PyTorch is, {quick_rate / 1e9:.0f} through "
        f"oneDNN as the loop has it, bfloat16 {bf16_rate / 1e9:.0f}",
        "",
    ]
    times = {}
    for classes, width in SIZES:
        times[classes, width] = milliseconds(classes, width, arguments.rounds)
        row = {n: statistics.median(t) for n, t in times[classes, width].items()}
        print(f"K = {classes}, D = {width}: " + ", ".join(f"{n} {t:.1f}" for n, t in row.items()))
    names = list(times[SIZES[0]])
    lines += [
        "Milliseconds a step of 500 unlabelled and 200 labelled spectra:",
        "",
        "| classes, bands | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
        *(
            f"| {k}, {d} | " + " | ".join(f"{statistics.median(t[n]):.1f}" for n in names) + " |"
            for (k, d), t in times.items()
        ),
        "",
    ]
    if "Pyro" in names:
        ours = [name for name in names if not name.startswith("Pyro")]
        lines += [
            "Times the spectra a second of Pyro (of Pyro tuned), median of the rounds:",
            "",
            "| classes, bands | " + " | ".join(ours) + " |",
            "|---|" + "---|" * len(ours),
            *(
                f"| {k}, {d} | "
                + " | ".join(
                    f"{ratio(t['Pyro'], t[n]):.1f} ({ratio(t['Pyro, tuned'], t[n]):.1f})"
                    for n in ours
                )
                + " |"
                for (k, d), t in times.items()
            ),
            "",
        ]
    many, few = times[100, 50]["2 + 1"], times[10, 50]["2 + 1"]
    lines += [
        f"- 100 classes take {ratio(many, few):.2f} times as long as 10 (2 + 1, 50 bands)",
        "- an epoch of the task of 2016 (98,000 unlabelled spectra, 268 bands, 100 slots; "
        "the first try took 1,393 s), through the training loop: "
        f"{epoch_of_2016('float32', exact_classes=2, experts=False):.1f} s (2 + 1), in bfloat16 "
        f"{epoch_of_2016('bfloat16', exact_classes=2, experts=False):.1f} s; with q(y|x) and U as "
        "they are by default, "
        f"{epoch_of_2016('float32', exact_classes=1, experts=True):.1f} s (1 + 1, "
        f"{len(M2Settings().experts)} experts)",
    ]
    print("\n".join(lines))
    if arguments.report is not None:
        arguments.report.write_text(
            "# Speed of M2's training\n\n"
            "    PYTHONPATH=pyro python tests/benchmarks/m2_speed.py\n\n"
            f"{machine_in_words()}, {today()}; medians of {arguments.rounds} rounds\n\n"
            + "\n".join(lines)
            + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
