"""Run folders of earlier schema versions, converted when they are loaded.

Schema 1 (0.1) had two layouts of M2: one of one label set, M2 or GM-DGM, and one of several. Schema
2 knew of no extractor but M1. Schema 3 had no checksums. In schema 4 M1 had no linear part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hsi_ssl.models.declared import fixed_draws

Card = dict[str, Any]
Tensors = dict[str, Tensor]

OF_LABEL_SET = ("classes", "spatial_strength", "spatial_tuned", "rule", "temperature")
"""What schema 2 keeps a label set and the layout of one label set kept at the top."""
NOVELTY = "novelty."


def label_set_places(card: Card) -> list[Card]:
    """Where a card as it is in its file keeps what it says of each label set."""
    found: list[Card] = card.get("label_sets", [card])
    return found


def converted(card: Card, tensors: Mapping[str, Tensor]) -> tuple[Card, Tensors]:
    """A card and tensors of any schema version as those of today's."""
    if card["schema"] == 1:
        card, tensors = from_schema_1(card, tensors)
    if card["schema"] == 2:  # noqa: PLR2004
        card = from_schema_2(card)
    if card["schema"] == 3:  # noqa: PLR2004
        card = {**card, "schema": 4}
    if card["schema"] == 4:  # noqa: PLR2004
        card, tensors = from_schema_4(card, tensors)
    return card, dict(tensors)


def from_schema_4(card: Card, tensors: Mapping[str, Tensor]) -> tuple[Card, Tensors]:
    """A card and tensors of schema 4 as those of schema 5: M1's linear part gives 0."""
    m1, prefix = (card, "") if card["kind"] == "m1" else (card["m1"], "m1.")
    found = dict(tensors)
    if m1 is not None and m1["extractor"] == "vae":
        width, units = m1["architecture"]["width"], m1["architecture"]["latent"]
        for part, inputs, outputs in (("to_z", width, units), ("to_x", units, width)):
            found[f"{prefix}{part}.weight"] = torch.zeros(outputs, inputs)
            found[f"{prefix}{part}.bias"] = torch.zeros(outputs)
        found |= {f"{prefix}logvar": torch.zeros(units), f"{prefix}unit": torch.ones(width)}
    return {**card, "schema": 5}, found


def from_schema_2(card: Card) -> Card:
    """A card of schema 2 as one of schema 3: extractors have names."""
    of_m1 = {"extractor": "vae"}
    if card["kind"] == "m1":
        return {**card, **of_m1, "schema": 3}
    m1 = card["m1"]
    return {**card, "m1": m1 and {**m1, **of_m1}, "schema": 3}


def from_schema_1(card: Card, tensors: Mapping[str, Tensor]) -> tuple[Card, Tensors]:
    """A card and tensors of schema 1 as those of schema 2; M1's are the same in both."""
    if card["kind"] != "m2":
        return {**card, "schema": 2}, dict(tensors)
    renamed = {**card, "settings": _settings(card["settings"])}
    if "label_sets" in card:
        return _several(renamed, tensors)
    return _one(renamed, tensors)


def _several(card: Card, tensors: Mapping[str, Tensor]) -> tuple[Card, Tensors]:
    names = [one["classes"]["name"] for one in card["label_sets"]]
    places = {f"{NOVELTY}{name}.": f"{NOVELTY}{v}." for v, name in enumerate(names)}
    renamed = {_replaced(name, places): t for name, t in tensors.items()}
    label_sets = [{**one, "rule": card["rule"]} for one in card["label_sets"]]
    architecture = {**_side_inputs(card["architecture"]), "free": [0] * len(names)}
    converted = {**card, "schema": 2, "model": "m2", "label_sets": label_sets}
    return {**converted, "architecture": architecture}, renamed


def _one(card: Card, tensors: Mapping[str, Tensor]) -> tuple[Card, Tensors]:
    gm_dgm = card.get("model", "m2") == "gm-dgm"
    of_set = {name: card[name] for name in OF_LABEL_SET if name in card}
    own = ("validation", "validation_by_rule", "predicted_classes", "slots")
    metrics = card["metrics"]
    label_set = {
        **of_set,
        "expert_weights": card.get("expert_weights", [1.0]),
        "metrics": {name: metrics[name] for name in own if name in metrics},
    }
    old = _side_inputs(card["architecture"])
    classes, free = old.pop("classes"), old.pop("free", 0)
    architecture = {
        **old,
        "labels": ["y"],
        "counts": [classes],
        "free": [free],
        "generation": ["y", "z | y", "x | z"] if gm_dgm else ["y", "z", "x | y, z"],
        "inference": ["y", "z | y"],
    }
    converted = {
        **{k: v for k, v in card.items() if k not in {*of_set, "expert_weights", "free_slots"}},
        "schema": 2,
        "model": card.get("model", "m2"),
        "architecture": architecture,
        "label_sets": [label_set],
        "metrics": {k: v for k, v in metrics.items() if k not in own},
    }
    return converted, {**_tensors_of_one(tensors), "draws": fixed_draws(old["latent"])}


def _tensors_of_one(tensors: Mapping[str, Tensor]) -> Tensors:
    found: Tensors = {}
    outputs = _last_layers(tensors)
    for name, tensor in tensors.items():
        network, _, rest = name.partition(".")
        if name == "log_p_y":
            found["log_p_0"] = tensor
        elif name == "classifier.weight":
            found[name] = tensor[None]
        elif name.startswith("classifier.networks."):
            _, _, expert, layer, kind = name.split(".")
            last = int(layer) == outputs[expert]
            place = "heads.0.from_x" if last else f"layers.0.{layer}"
            found[f"classifier.networks.{expert}.{place}.{kind}"] = tensor
        elif network in ("encoder", "decoder") and rest == "from_y":
            found[f"{network}.tables.0"] = tensor
        elif name == "prior.mean":
            spread = tensors["prior.log_spread"]
            found["prior.1.tables.0"] = torch.cat([tensor, spread], dim=1)
            found["prior.1.bias"] = tensor.new_zeros(2 * tensor.shape[1])
        elif name == "prior.log_spread":
            continue
        else:
            found[_replaced(name, {f"{NOVELTY}.": f"{NOVELTY}0."})] = tensor
    return found


def _last_layers(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Of each expert, by its number: the number of its last layer."""
    found: dict[str, int] = {}
    for name in tensors:
        if name.startswith("classifier.networks."):
            _, _, expert, layer, _ = name.split(".")
            found[expert] = max(found.get(expert, 0), int(layer))
    return found


def _side_inputs(architecture: Card) -> Card:
    """`beside` is called `side_inputs` now."""
    found = dict(architecture)
    found["side_inputs"] = found.pop("beside", 0)
    return found


def _settings(settings: Card) -> Card:
    """Settings by today's names, so that they may be taken for another training."""
    found = dict(settings)
    if "pull" in found:
        found["stop_gradient"] = 1 - found.pop("pull")
    for old, new in (("rounds", "em_rounds"), ("spectra_beside", "side_input")):
        if old in found:
            found[new] = found.pop(old)
    return found


def _replaced(name: str, beginnings: Mapping[str, str]) -> str:
    for old, new in beginnings.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
