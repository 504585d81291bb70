"""What validation pixels choose: supervised or whole model, rule and temperature to predict by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hsi_ssl.inference.classifier import Rule, fixed_noise
from hsi_ssl.inference.device import SMALLEST_BATCH
from hsi_ssl.inference.temperature import fitted_temperature, tempered_in_words
from hsi_ssl.inference.worth import poor_in_words
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.moving import fetched, sent
from hsi_ssl.models.one_label_set import OneLabelSet
from hsi_ssl.training.inputs import APPLIED_BATCH
from hsi_ssl.training.loop import weights_of
from hsi_ssl.training.validation import Scores, Validation, over_label_sets, scores
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


def q_of_labels(model: DeclaredVAE) -> nn.ModuleList:
    """The networks of q(y|x): where labels come after z, q(z|x, ...) is one of them."""
    return nn.ModuleList([model.classifier, *([model.encoder] if model.after else [])])


def keep_the_better(
    model: DeclaredVAE,
    before: dict[str, Tensor],
    validation: Validation,
    watcher: Watcher,
    *,
    lacking: bool = True,
) -> dict[str, Any]:
    """Leave the better q(y|x) on the validation pixels in the model, and say which it is.

    By macro-F1, its mean over label sets. With free slots it is the whole model's always: the
    supervised part's knows nothing of them, and validation pixels do not either. `before`:
    `q_of_labels` after the supervised part. `lacking`: whether any pixel that was learnt from lacks
    a label; if not, what was gained says nothing of such pixels.
    """
    if not len(validation):
        return {"supervised": {}, "gained": None, "kept": "semi-supervised"}
    q = q_of_labels(model)
    after = weights_of(q)
    each_now = validation.by_label_set(model)
    q.load_state_dict(before)
    each_then = validation.by_label_set(model, labelled_only=True)
    several = len(model.architecture.labels) > 1
    now, then = (over_label_sets(each, several=several) for each in (each_now, each_then))
    gained = now["macro_f1"] - then["macro_f1"]
    change = "macro-F1 on the validation pixels " + ", ".join(
        f"{name + ' ' if len(each_now) > 1 else ''}{each_then[name]['macro_f1']:.3f} -> "
        f"{each_now[name]['macro_f1']:.3f}"
        for name in each_now
    )
    free = any(model.architecture.free)
    if not lacking:
        kept = "supervised" if gained < 0 else "semi-supervised"
        q.load_state_dict(before if gained < 0 else after)
        watcher.say(f"labelled pixels alone, supervised part -> whole model: {change}")
        return {**_metrics(then, now, kept), "gained": None}
    if gained < 0 and not free:
        watcher.say(f"unlabelled pixels did not help here: kept the supervised model ({change})")
        return _metrics(then, now, "supervised")
    q.load_state_dict(after)
    if free:
        watcher.say(f"with free slots: {change}, a labelled pixel in a free slot counted as wrong")
    else:
        watcher.say(f"unlabelled pixels gained {100 * gained:+.1f} points ({change})")
    return _metrics(then, now, "semi-supervised")


def _metrics(then: Scores, now: Scores, kept: str) -> dict[str, Any]:
    gained = now["macro_f1"] - then["macro_f1"]
    return {"supervised": then, "semi_supervised": now, "gained": gained, "kept": kept}


@dataclass(frozen=True)
class Choice:
    """How one label set is predicted: the rule, each rule's scores and temperature."""

    rule: Rule
    by_rule: dict[Rule, Scores] = field(default_factory=dict)
    temperature: dict[Rule, float] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, Any]:
        """For the card."""
        if not self.by_rule:
            return {"validation": {}}
        return {"validation": self.by_rule[self.rule], "validation_by_rule": self.by_rule}


def choose_rules(
    model: DeclaredVAE,
    validation: Validation,
    settings: M2Settings,
    names: list[str],
    watcher: Watcher,
) -> list[Choice]:
    """q(y|x) or Bayes' rule for each label set, as the settings say or as validation pixels do.

    And the temperature of each; 1 with free slots, of which validation pixels say nothing. `names`
    of the label sets, to speak of several.
    """
    by_classifier = validation.log_q(model) if len(validation) else []
    found = []
    for v, name in enumerate(names):
        said = f"{name}: " if len(names) > 1 else ""
        known = validation.known[:, v]
        if not known.any():
            found.append(Choice("bayes" if settings.predict == "bayes" else "classifier"))
            continue
        y = validation.truth[known, v]
        x = validation.inputs.mean[sent(torch.nonzero(known).flatten(), model.draws.device)]
        read = fetched(
            {
                "classifier": by_classifier[v],
                "bayes": _by_bayes(model, v, x, settings.bayes_samples),
            }
        )
        log_p: dict[Rule, Tensor] = {
            "classifier": read["classifier"][known],
            "bayes": read["bayes"],
        }
        by_rule = {rule: scores(y, values) for rule, values in log_p.items()}
        rule = _rule(by_rule, settings)
        watcher.say(
            f"{said}validation macro-F1: q(y|x) {by_rule['classifier']['macro_f1']:.3f}, Bayes' "
            f"rule {by_rule['bayes']['macro_f1']:.3f}; predicts by "
            f"{'q(y|x)' if rule == 'classifier' else 'Bayes rule'}"
        )
        poor = poor_in_words({"metrics": {"validation_by_rule": by_rule}})
        if poor is not None:
            watcher.say(f"{said}{poor}")
        temperature: dict[Rule, float] = {}
        if not model.architecture.free[v]:
            temperature = {one: fitted_temperature(values, y) for one, values in log_p.items()}
            watcher.say(f"{said}{tempered_in_words(temperature[rule])} on the validation pixels")
        found.append(Choice(rule, by_rule, temperature))
    return found


def _rule(by_rule: dict[Rule, Scores], settings: M2Settings) -> Rule:
    if settings.predict != "auto":
        return settings.predict
    # Of free slots validation pixels say nothing: with them it is q(y|x).
    better = by_rule["bayes"]["macro_f1"] > by_rule["classifier"]["macro_f1"]
    return "bayes" if better and not settings.free_slots else "classifier"


@torch.no_grad()
def _by_bayes(model: DeclaredVAE, place: int, x: Tensor, samples: int) -> Tensor:
    """log p(y|x) `(N, K)` of one label set by Bayes' rule."""
    eps = fixed_noise(samples, model.architecture.latent).to(x.device)
    some = max(SMALLEST_BATCH, 8 * APPLIED_BATCH // model.rows(every_class=True))
    one = OneLabelSet(model, place)
    return torch.cat([one.log_posterior_bayes(batch, eps) for batch in x.split(some)])
