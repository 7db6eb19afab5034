"""XGBoost's classifier, reporting each round of its training."""

from typing import Any, Self

from xgboost import Booster, XGBClassifier
from xgboost.callback import TrainingCallback

from mnistbench.estimators.arrays import Progress


class BoostedTrees(XGBClassifier):
    """An `xgboost.XGBClassifier` that reports each round; its parameters are that class's.

    Attributes:
        on_progress: None, or a function that `fit` calls as on_progress(done, total, "round") after each
            round. It may call `predict`, which uses the trees so far.
    """

    on_progress: Progress | None = None

    def fit(self, X: Any, y: Any, **options: Any) -> Self:
        """Train on X, numbers of any type, shape (n, d), and labels y from 0 to k - 1, shape (n,).

        Args:
            X: As for `XGBClassifier.fit`; uint8 stays uint8.
            y: The labels.
            **options: The other arguments of `XGBClassifier.fit`.

        Raises:
            ValueError: X or y cannot be used, or the labels are not 0 to k - 1.
        """
        callbacks = self.callbacks
        if self.on_progress is not None:
            self.callbacks = [*(callbacks or []), _Report(self, self.on_progress)]
        try:
            super().fit(X, y, **options)
        finally:
            self.callbacks = callbacks
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("on_progress", None)
        return state


class _Report(TrainingCallback):
    def __init__(self, model: BoostedTrees, on_progress: Progress) -> None:
        super().__init__()
        self._model = model
        self._on_progress = on_progress

    def after_iteration(self, model: Booster, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - its names
        self._model._Booster = model
        self._on_progress(epoch + 1, self._model.get_num_boosting_rounds(), "round")
        return False
