"""Several networks on differently prepared images, whose probabilities are averaged."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from mnistbench.estimators.arrays import Labels, Progress, Scores


class Committee(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Several networks, trained one after the other on differently prepared images, of equal weight.

    D. Ciresan, U. Meier and J. Schmidhuber, "Multi-column deep neural networks for image classification",
    CVPR 2012: networks whose images were prepared differently make fewer errors in common.

    Args:
        columns: The networks, each a `NeuralClassifier` or a pipeline that ends in one; `fit` clones them.
        seed: Gives each network a seed of its own. None leaves them the seeds that they have.

    Attributes:
        classes_: The labels, sorted, shape (k,).
        columns_: The trained copies.
        engine_: See `NeuralClassifier`.
        device_: See `NeuralClassifier`.
        on_progress: None, or a function that `fit` calls as on_progress(done, total, unit), like that of
            `NeuralClassifier`, counting the steps of all columns.
    """

    on_progress: Progress | None = None

    def __init__(self, columns: Sequence[Any], seed: int | None = None) -> None:
        self.columns = columns
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Self:
        """Train the columns on images X, float, shape (n, height * width), with labels y, shape (n,).

        Raises:
            ValueError: There are no columns, or X or y is unsuitable for one.
        """
        if not self.columns:
            raise ValueError("columns is empty; expected at least one network")
        X, y = validate_data(self, X, y, dtype=np.float32)
        self.classes_ = np.unique(y)
        self.columns_: list[Any] = []
        seeds = np.random.SeedSequence(self.seed).generate_state(len(self.columns))
        for column, seed in zip(self.columns, seeds, strict=True):
            trained = clone(column)
            network = trained[-1] if isinstance(trained, Pipeline) else trained
            if self.seed is not None:
                network.set_params(seed=int(seed))
            if self.on_progress is not None:
                network.on_progress = partial(self._report, len(self.columns_), self.on_progress)
            self.columns_.append(trained)
            trained.fit(X, y)
            network.on_progress = None
        self.engine_, self.device_ = network.engine_, network.device_
        return self

    def predict(self, X: Any) -> Labels:
        """Return the most probable label of each row of X, shape (n,)."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[most_probable])

    def predict_proba(self, X: Any) -> Scores:
        """Return the mean of the columns' probabilities, float64, shape (n, k), columns as in `classes_`."""
        check_is_fitted(self, "columns_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return np.asarray(np.mean([column.predict_proba(X) for column in self.columns_], axis=0))

    def _report(self, before: int, on_progress: Progress, done: int, total: int, unit: str) -> None:
        """Report the progress of a column that follows `before` others."""
        on_progress(before * total + done, len(self.columns) * total, unit)
