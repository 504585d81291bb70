"""In which order variables depend on each other, declared in a line each.

A joint distribution is a product of one factor a variable, each given its parents (Koller and
Friedman 2009, section 3.2). It is written as in formulas, parents after a bar, those that come
first in the first line:

    generation: p(a) p(b | a) p(z) p(x | a, b, z)    ("a", "b | a", "z", "x | a, b, z")
    inference:  q(a | x) q(b | x, a) q(z | x, a, b)  ("a", "b | a", "z | a, b")

`z` is the latent variable, `x` the spectrum, on which everything depends in inference; all others
are label sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsi_ssl.errors import SettingsError

LATENT, OBSERVED = "z", "x"


@dataclass(frozen=True)
class Factor:
    """One variable and what it depends on."""

    name: str
    parents: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " | ".join((self.name, ", ".join(self.parents))) if self.parents else self.name


@dataclass(frozen=True)
class Dependence:
    """Factors, parents before children."""

    factors: tuple[Factor, ...]

    def parents(self, name: str) -> tuple[str, ...]:
        """Of a variable."""
        return next(factor.parents for factor in self.factors if factor.name == name)

    @property
    def before_latent(self) -> tuple[str, ...]:
        """Variables that come before z, in order."""
        names = tuple(factor.name for factor in self.factors)
        return names[: names.index(LATENT)]

    @property
    def after_latent(self) -> tuple[str, ...]:
        """Label sets that come after z, in order."""
        names = tuple(factor.name for factor in self.factors)
        return tuple(name for name in names[names.index(LATENT) + 1 :] if name != OBSERVED)


def generation_of(lines: Sequence[str], labels: Sequence[str]) -> Dependence:
    """p of label sets, z and x.

    Raises
    ------
    SettingsError
        A line names what is not there or has not come yet, or a variable is missing or comes twice.
    """
    found = _parsed(lines, [*labels, LATENT, OBSERVED], "generation")
    if found.factors[-1].name != OBSERVED or LATENT not in found.parents(OBSERVED):
        raise SettingsError("generation: x comes last, in a line like `x | a, b, z`, with z in it")
    return found


def inference_of(lines: Sequence[str], labels: Sequence[str]) -> Dependence:
    """q of label sets and z given x.

    Raises
    ------
    SettingsError
        As `generation_of`.
    """
    return _parsed(lines, [*labels, LATENT], "inference")


def _parsed(lines: Sequence[str], variables: Sequence[str], what: str) -> Dependence:
    """Factors of lines such as `b | a, z`; each of `variables` comes once, after its parents."""
    factors: list[Factor] = []
    come: list[str] = []
    for line in lines:
        name, _, given = (part.strip() for part in line.partition("|"))
        parents = tuple(part.strip() for part in given.split(",")) if given else ()
        if name not in variables or name in come:
            raise SettingsError(
                f"{what}: expected a line for each of {', '.join(variables)}, found {line!r}"
                + (" a second time" if name in come else "")
            )
        for parent in parents:
            if parent not in come:
                raise SettingsError(
                    f"{what}: {name} depends on {parent}, which has to come in a line before it "
                    f"(of {', '.join(variables)})"
                )
        factors.append(Factor(name, tuple(dict.fromkeys(parents))))
        come.append(name)
    missing = [name for name in variables if name not in come]
    if missing:
        raise SettingsError(f"{what}: no line for {', '.join(missing)}")
    return Dependence(tuple(factors))
