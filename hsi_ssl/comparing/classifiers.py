"""The baselines: what each is, and which of its settings are tuned."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_argmin
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC

from hsi_ssl.comparing.baselines import Array

TREES = 500
NEAREST = 7
VOTE = 2.0
"""What one vote more between two classes counts in log odds."""
Grid = dict[str, list[Any]]


class Logistic:
    """Multinomial logistic regression; its penalty is tuned."""

    title = "logistic regression"
    unlabelled = False

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """On features of equal spread: it converges, and one penalty suits them all."""
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, tol=1e-3))

    def grid(self, x: Array) -> Grid:
        """Inverse strengths of the penalty."""
        return {"logisticregression__C": [0.01, 0.1, 1.0, 10.0, 100.0]}


class LDA:
    """Linear discriminant analysis, its covariance shrunk towards a multiple of the identity.

    Ledoit and Wolf's shrinkage ("auto") is among those tried.
    """

    title = "linear discriminant analysis"
    unlabelled = False

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """On features of equal spread, towards whose common variance is shrunk."""
        return make_pipeline(StandardScaler(), LinearDiscriminantAnalysis("lsqr", "auto"))

    def grid(self, x: Array) -> Grid:
        """Shares of the identity."""
        return {"lineardiscriminantanalysis__shrinkage": ["auto", 0.001, 0.01, 0.1, 0.3, 0.7]}


class SVM:
    """Support vector machine with Gaussian kernel; C and width are tuned."""

    title = "support vector machine"
    unlabelled = False

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """As libsvm has it."""
        return SVC(cache_size=500)

    def grid(self, x: Array) -> Grid:
        """Widths around 1 / (D var x), which suits any scale of the features."""
        width = inverse_spread(x)
        return {
            "C": [1.0, 10.0, 100.0, 1000.0],
            "gamma": [width * factor for factor in (0.03, 0.1, 0.3, 1.0, 3.0)],
        }


class KNN:
    """Nearest neighbours, weighed by their distance; their number is tuned."""

    title = "nearest neighbours"
    unlabelled = False

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """By Euclidean distance."""
        return KNeighborsClassifier()

    def grid(self, x: Array) -> Grid:
        """Numbers of neighbours."""
        return {"n_neighbors": [1, 3, 5, 9], "weights": ["distance"]}


class Forest:
    """Random forest of 500 trees; how many features a split looks at is tuned."""

    title = "random forest"
    unlabelled = False

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """Breiman 2001."""
        return RandomForestClassifier(TREES, n_jobs=threads, random_state=seed)

    def grid(self, x: Array) -> Grid:
        """Their number, or share."""
        return {"max_features": ["sqrt", 0.3]}


class ExtraTrees:
    """Extremely randomised trees, 500; how many features a split looks at is tuned."""

    title = "extra trees"
    unlabelled = False

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """Geurts et al. 2006."""
        return ExtraTreesClassifier(TREES, n_jobs=threads, random_state=seed)

    def grid(self, x: Array) -> Grid:
        """Their number, or share."""
        return {"max_features": ["sqrt", 0.3]}


class GaussianSpreading(LabelSpreading):  # type: ignore[misc]
    """Label spreading (Zhou et al. 2004) that answers everywhere.

    Where the kernel's weights of all pixels that a label has reached are 0, scikit-learn divides 0
    by 0 and answers the first class; here the nearest labelled pixel does.
    """

    def fit(self, X: Array, y: Array) -> Self:
        """Spread the labels `y (n,)`, -1 where there is none, among `X (n, D)`."""
        self.labelled_, self.labels_ = X[y >= 0], y[y >= 0]
        super().fit(X, y)
        return self

    def predict(self, X: Array) -> Array:
        """Class indices `(n,)`."""
        reached = rbf_kernel(X, self.X_, gamma=self.gamma) @ self.label_distributions_
        found: Array = self.classes_[reached.argmax(1)]
        lost = ~(reached.sum(1) > 0)
        if lost.any():
            found[lost] = self.labels_[pairwise_distances_argmin(X[lost], self.labelled_)]
        return found


class Spreading:
    """Label spreading over labelled and some unlabelled pixels; width and rigour are tuned."""

    title = "label spreading"
    unlabelled = True

    def estimator(self, x: Array, seed: int, threads: int) -> BaseEstimator:
        """With a Gaussian kernel."""
        return GaussianSpreading(kernel="rbf", max_iter=100, gamma=inverse_nearness(x))

    def grid(self, x: Array) -> Grid:
        """Widths of the kernel, and how far a labelled pixel may change its mind.

        Few held-out pixels are often right with all of them: then the first counts.
        """
        width = inverse_nearness(x)
        return {
            "gamma": [width * factor for factor in (1.0, 3.0, 0.3, 0.1, 0.03)],
            "alpha": [0.2, 0.8],
        }


class SureSVC(SVC):  # type: ignore[misc]
    """A support vector machine whose sureness is the softmax of its scores.

    Sureness by folds, as scikit-learn has it, needs three pixels of every class.
    """

    def predict_proba(self, X: Array) -> Array:
        """Shares `(n, K)` of the classes."""
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1)
        found: Array = softmax(VOTE * scores, axis=1)
        return found


class SelfTraining:
    """A support vector machine that takes its surest finds for labels; it and its nerve are tuned.

    Yarowsky 1995.
    """

    title = "self-training"
    unlabelled = True

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """Ten rounds at most."""
        sure = SureSVC(C=10.0, gamma=inverse_spread(x), cache_size=500)
        return SelfTrainingClassifier(sure, max_iter=10)

    def grid(self, x: Array) -> Grid:
        """Widths of the kernel, and how sure a find must be."""
        width = inverse_spread(x)
        return {
            "estimator__gamma": [width * factor for factor in (0.1, 0.3, 1.0)],
            "threshold": [0.7, 0.9],
        }


class GaussianProcess:
    """Gaussian process classification, one class against the rest, tuned by marginal likelihood.

    Rasmussen and Williams 2006, algorithm 3.1: Laplace's approximation.
    """

    title = "Gaussian process"
    unlabelled = False

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """With a Gaussian kernel as wide as suits the scale of the features."""
        kernel = ConstantKernel(10.0) * RBF(float(np.sqrt(0.5 / inverse_spread(x))))
        return GaussianProcessClassifier(kernel, random_state=seed, n_jobs=threads)

    def grid(self, x: Array) -> Grid:
        """Nothing is left to folds."""
        return {}


def inverse_spread(x: Array) -> float:
    """1 / (D var x), the width of a Gaussian kernel on any scale of features `(n, D)`."""
    return float(1 / (x.shape[1] * (x.var(dtype=np.float64) or 1.0)))


def inverse_nearness(x: Array) -> float:
    """1 / d^2, d the median distance in `x (n, D)` to the 7th nearest, or to the farthest of fewer.

    The scale at which Zelnik-Manor and Perona (2004) look at a pixel's surroundings.
    """
    near = NearestNeighbors(n_neighbors=min(NEAREST, len(x) - 1)).fit(x)
    distance = float(np.median(near.kneighbors()[0][:, -1]))
    return 1 / (distance * distance or 1.0)
