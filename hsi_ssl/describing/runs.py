"""What `info` tells of datasets and runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_ssl.describing.description import Description, counted
from hsi_ssl.scenes.ranges import WavelengthRange

if TYPE_CHECKING:
    from hsi_ssl.datasets.store import Dataset


def describe_dataset(path: Path) -> Description:
    """Describe a prepared dataset.

    Raises
    ------
    DatasetError
        It is broken or of another version.
    """
    from hsi_ssl.datasets.store import Part, open_dataset

    dataset = open_dataset(path)
    meta = dataset.meta
    parts = {
        part.name.lower(): int((dataset.part == part).sum()) for part in Part if part != Part.OTHER
    }
    label_sets = _counted_classes(dataset)
    kept = ("name", "path", "rows", "cols", "format")
    values = {
        "kind": "dataset",
        "path": str(path),
        "title": meta["title"],
        "pixels": len(dataset),
        "bands": meta["bands"],
        "used_bands": meta["used_bands"],
        "wavelengths_nm": dataset.wavelengths_nm,
        "excluded_nm": meta.get("excluded_nm", []),
        "parts": parts,
        **(label_sets[0] if len(label_sets) == 1 else {"label_sets": label_sets}),
        "scaling": meta["scaling"]["kind"],
        "split": meta["split"],
        "transductive": meta["transductive"],
        "seed": meta["seed"],
        "sources": [{key: source.get(key, "") for key in kept} for source in meta["sources"]],
    }
    lines = [
        f"{path}: dataset of {meta['title']}",
        f"{len(dataset)} pixels x {dataset.bands} of {_bands(meta)}: "
        + ", ".join(f"{name} {n}" for name, n in parts.items()),
        f"split by {meta['split']['kind']}, scaling {meta['scaling']['kind']}, seed {meta['seed']}"
        + (", transductive" if meta["transductive"] else ""),
        *_counts_in_lines(label_sets),
        f"from {counted(len(meta['sources']), 'scene')}:",
        *map(_source_line, values["sources"]),
    ]
    return Description(values, lines)


def _counted_classes(dataset: Dataset) -> list[dict[str, Any]]:
    """Of each label set its classes, with their pixels in each part."""
    from hsi_ssl.datasets.store import Part

    found = []
    for one in map(dataset.one, (label_set.name for label_set in dataset.label_sets)):
        classes = [
            {
                "code": c.code,
                "name": c.name,
                **{
                    part.name.lower(): int(((one.label == k) & (one.part == part)).sum())
                    for part in (Part.TRAIN, Part.VALIDATION, Part.TEST)
                },
            }
            for k, c in enumerate(one.label_set.classes)
        ]
        found.append({"label_set": one.label_set.name, "classes": classes})
    return found


def _counts_in_lines(label_sets: list[dict[str, Any]]) -> list[str]:
    lines = []
    for found in label_sets:
        width = max(len(c["name"]) for c in found["classes"])
        head = "class" if len(label_sets) == 1 else found["label_set"]
        lines += [
            f"{'code':>5}  {head:{width}}  {'train':>8}  {'validation':>10}  {'test':>8}",
            *(
                f"{c['code']:5}  {c['name']:{width}}  {c['train']:8}  {c['validation']:10}  "
                f"{c['test']:8}"
                for c in found["classes"]
            ),
        ]
    return lines


def _source_line(source: dict[str, Any]) -> str:
    told = f"{source['rows']} x {source['cols']}", source["format"]
    return f"  {source['path']} ({', '.join(filter(None, told))})"


def describe_run(path: Path) -> Description:
    """Describe the folder of a finished run.

    Raises
    ------
    ModelError
        Its card or its weights are broken or of another version.
    """
    from hsi_ssl.inference.checkpoint import load_run, model_name, read_card
    from hsi_ssl.inference.classifier import card_of_label_set

    card, _ = load_run(path, read_card(path)["kind"])
    if len(card.get("label_sets", [])) == 1:
        card = card_of_label_set(card, 0)
    model = model_name(card)
    label_sets = [
        {
            "label_set": one["name"],
            "classes": [{"code": c["code"], "name": c["name"]} for c in one["classes"]],
        }
        for one in _label_sets(card)
    ]
    classes = [c for one in label_sets for c in one["classes"]]
    values = {
        "kind": "run",
        "path": str(path),
        "finished": True,
        "model": model,
        "architecture": card["architecture"],
        "bands": card["bands"],
        "used_bands": card["used_bands"],
        "wavelengths_nm": card["wavelengths_nm"],
        "excluded_nm": card.get("excluded_nm", []),
        "scaling": card["scaling"]["kind"],
        **({"label_sets": label_sets} if len(label_sets) > 1 else {"classes": classes}),
        "dataset": card["dataset"],
        "training": card["training"],
        "metrics": card["metrics"],
        "created": card["created"],
        "version": card["hsi_ssl"],
        "git_commit": card["git_commit"],
    }
    architecture, training = card["architecture"], card["training"]
    known = []
    if "latent" in architecture:
        known.append(counted(architecture["latent"], "latent unit"))
    if architecture.get("components"):
        known.append(f"{counted(architecture['components'], 'component')} a class")
    elif "hidden" in architecture:
        known.append(f"hidden layers {'-'.join(map(str, architecture['hidden'])) or 'none'}")
    of_prototypes = ("method", "rows", "cols", "grid", "units", "rule", "prototypes")
    known += [f"{name} {architecture[name]}" for name in of_prototypes if name in architecture]
    if "likelihood" in architecture:
        known.append(f"{architecture['likelihood']} likelihood")
    lines = [
        f"{path}: {model}, trained {card['created']} with hsi-ssl {card['hsi_ssl']}",
        ", ".join([*known, f"scaling {card['scaling']['kind']}"]),
        f"learnt on {card['dataset']['title']} ({card['dataset']['path']}), "
        f"{len(card['used_bands'])} of {_bands(card)}",
    ]
    if training["epochs"]:
        lines.append(
            f"{counted(training['epochs'], 'epoch')} in {training['seconds']:.0f} s on "
            f"{training['device']}"
            + (f", best epoch {training['best_epoch']}" if "best_epoch" in training else "")
        )
    lines += [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in _flat(card["metrics"])
        if not isinstance(value, list) and value is not None
    ]
    lines += [f"class {c['code']}: {c['name']}" for c in classes]
    return Description(values, lines)


def _label_sets(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Cards of the label sets that a run knows, none for M1."""
    return [one["classes"] for one in card.get("label_sets", [])]


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Pairs of a nested dictionary, the keys of each joined by a space."""
    found = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key} ")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else value
            found.append((prefix + key, shown))
    return found


def _bands(card: dict[str, Any]) -> str:
    """How many bands the files have, and what of them was excluded."""
    ranges = [str(WavelengthRange(low, high)) for low, high in card.get("excluded_nm", ())]
    return counted(card["bands"], "band") + (f" (without {', '.join(ranges)})" if ranges else "")
