"""XGBoost's classifier, reporting each round of its training."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from xgboost import Booster, DataIter, DMatrix, ExtMemQuantileDMatrix, XGBClassifier, train
from xgboost.callback import TrainingCallback

from mnistbench.estimators.arrays import Labels, Progress
from mnistbench.estimators.blocks import Blocks
from mnistbench.estimators.hardness import are_hard


class BoostedTrees(XGBClassifier):
    """An `xgboost.XGBClassifier` that reports each round, and may take more of them for hard images.

    Args:
        hard_rounds: Number of rounds for images that are hard (`hardness.are_hard`), in place of
            `n_estimators`. None makes no difference.
        **parameters: Those of `XGBClassifier`.

    Attributes:
        rounds_: Number of rounds that `fit` took.
        on_progress: None, or a function that `fit` calls as on_progress(done, total, "round") after each
            round.
    """

    on_progress: Progress | None = None

    def __init__(self, *, hard_rounds: int | None = None, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.hard_rounds = hard_rounds

    def fit(self, X: Any, y: Any, **options: Any) -> Self:
        """Train on X, numbers of any type, shape (n, d), and labels y from 0 to k - 1, shape (n,).

        The options are those of `XGBClassifier.fit`; uint8 stays uint8.

        Raises:
            ValueError: X or y cannot be used, or the labels are not 0 to k - 1.
        """
        callbacks = self.callbacks
        self.callbacks = self._started(X, y)
        try:
            super().fit(X, y, **options)
        finally:
            self.callbacks = callbacks
        return self

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Train on blocks by XGBoost's external memory: quantised features are in files, a page a block.

        https://xgboost.readthedocs.io/en/stable/tutorials/external_memory.html
        """
        callbacks = self._started(*blocks[0])
        parameters = {**self.get_xgb_params(), "objective": "binary:logistic"}
        if blocks.class_count > 2:  # as XGBClassifier chooses
            parameters |= {"objective": "multi:softprob", "num_class": blocks.class_count}
        with tempfile.TemporaryDirectory(prefix="xgboost-") as folder:
            rows = ExtMemQuantileDMatrix(
                _Pages(blocks, f"{folder}/page"),
                missing=self.missing,
                nthread=self.n_jobs,
                max_bin=self.max_bin,
            )
            trained = train(parameters, rows, self.rounds_, callbacks=callbacks)
            del rows  # before its files
        self.load_model(trained.save_raw("ubj"))
        return self

    def _started(self, X: Any, y: Any) -> list[TrainingCallback]:
        """Choose the number of rounds by some training images, and return the callbacks of the training."""
        self.rounds_: int = super().get_num_boosting_rounds()
        if self.hard_rounds is not None and are_hard(X, y):
            self.rounds_ = self.hard_rounds
        reports = [] if self.on_progress is None else [_Report(self.on_progress, self.rounds_)]
        return [*(self.callbacks or []), *reports]

    def get_num_boosting_rounds(self) -> int:
        """Return the number of rounds that `fit` takes or took."""
        return self.rounds_ if hasattr(self, "rounds_") else super().get_num_boosting_rounds()

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters for the library itself."""
        return {key: value for key, value in super().get_xgb_params().items() if key != "hard_rounds"}

    def staged_predict(self, X: Any, stages: Sequence[int] | None = None) -> Iterator[Labels]:
        """Yield the labels of the rows of X, shape (n,), as predicted after each round of the training.

        Args:
            X: As for `predict`.
            stages: The rounds, from 0 and ascending, after which to predict. None is all.
        """
        booster = self.get_booster()
        rows = DMatrix(X, missing=self.missing, nthread=self.n_jobs)
        begin = 0
        for stage in range(booster.num_boosted_rounds()) if stages is None else stages:
            margins = booster.predict(rows, output_margin=True, iteration_range=(begin, stage + 1))
            rows.set_base_margin(margins)
            begin = stage + 1
            yield margins.argmax(axis=1) if margins.ndim > 1 else (margins > 0).astype(np.int64)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("on_progress", None)
        return state


class _Pages(DataIter):
    def __init__(self, blocks: Blocks, prefix: str) -> None:
        super().__init__(cache_prefix=prefix, release_data=True)
        self._blocks = blocks
        self._number = 0

    def next(self, input_data: Callable[..., Any]) -> bool:
        if self._number == len(self._blocks.sizes):
            return False
        rows, labels = self._blocks[self._number]
        input_data(data=rows, label=labels)
        self._number += 1
        return True

    def reset(self) -> None:
        self._number = 0


class _Report(TrainingCallback):
    def __init__(self, on_progress: Progress, rounds: int) -> None:
        super().__init__()
        self._on_progress = on_progress
        self._rounds = rounds

    def after_iteration(self, model: Booster, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - its names
        self._on_progress(epoch + 1, self._rounds, "round")
        return False
