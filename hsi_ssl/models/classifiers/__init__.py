"""Classifiers that are no declared model of labels, z and x, one file each: choices of `--model`.

To add one: a class as `base.ClassifierModel` describes it, and a line in `CLASSIFIERS`; in another
package, an entry point in the group `hsi_ssl.classifiers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsi_ssl.registry import Registry

if TYPE_CHECKING:
    from hsi_ssl.models.classifiers.base import ClassifierModel

CLASSIFIERS: Registry[type[ClassifierModel]] = Registry(
    "hsi_ssl.classifiers",
    "model",
    {
        "perceptron": "hsi_ssl.models.classifiers.perceptron:Perceptron",
        "autoencoder": "hsi_ssl.models.classifiers.autoencoder:JointAutoencoder",
        "gan": "hsi_ssl.models.classifiers.gan:GAN",
        "lvq": "hsi_ssl.models.classifiers.lvq:LabelledPrototypes",
        "student": "hsi_ssl.models.classifiers.student:Student",
        "joint-student": "hsi_ssl.models.classifiers.joint_student:JointStudent",
        "multi-task": "hsi_ssl.models.classifiers.multi_task:MultiTask",
    },
)
"""What the setting `model` of `[m2]` names beside the presets of declared models."""
