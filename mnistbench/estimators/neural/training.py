"""How networks are trained: the epochs, the cycle of the learning rate, and the loop for each Keras backend.

The images are shuffled and distorted once an epoch: all at once, or block by block, in random order of the
blocks, where they are too many for the memory. The learning rate climbs along a
cosine from a 25th of its peak to the peak, and falls along a cosine to zero: L. N. Smith and N. Topin,
"Super-convergence", arXiv:1708.07120, in the form that fastai made common. The optimiser is Adam
(D. P. Kingma and J. Ba, arXiv:1412.6980) with decoupled weight decay (I. Loshchilov and F. Hutter,
arXiv:1711.05101).
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from mnistbench.estimators.arrays import Distortion, Images, Labels, Progress
from mnistbench.estimators.blocks import Blocks
from mnistbench.estimators.hardness import are_hard

Loss = Callable[[Any, Any], Any]

_REPORTS_PER_EPOCH = 5
# Keras's 0.999 would retain the first gradients to the end of a training of a few hundred steps.
_SQUARED_GRADIENT_DECAY = 0.99


@dataclass(frozen=True)
class Training:
    """How a network is trained."""

    epochs: int = 1  # number of passes over the training images
    # Images per step, at most all of them. Each epoch leaves out the images of a last, smaller batch.
    batch_size: int = 128
    peak_rate: float = 0.01  # Adam's learning rate at its peak
    label_smoothing: float = 0.0  # the share of each target that is spread evenly over the classes
    # Decay, from 0 up to 1, of the running average of the weights, which predicts; None predicts with the
    # last step's weights.
    average: float | None = None
    _: KW_ONLY
    hard_epochs: int | None = None  # for images that are hard (`hardness.are_hard`); None makes no difference
    # Called each epoch, returns distorted training images, given float32 images, shape (n, height, width),
    # and a NumPy generator. None trains on undistorted images.
    distort: Distortion | None = None
    min_steps: int = 300  # minimum number of optimiser steps, which adds epochs for a small training set
    warm_up: float = 0.25  # the share of the steps before the peak
    momentum: float = 0.7  # Adam's beta_1
    weight_decay: float | None = None  # decoupled weight decay per step, times the learning rate (AdamW)


def train(
    model: Any,
    training: Training,
    blocks: Blocks,
    generator: np.random.Generator,
    on_progress: Progress | None,
    stages: list[list[Any]] | None,
) -> None:
    """Train a Keras model, whose outputs are logits.

    On TensorFlow one compiled function does a whole step, which costs less than Keras's own `fit`; the other
    backends use the latter.

    The blocks are of images, float32, shape (n, height, width, 1), with labels, int32; the generator draws
    their order and the distortions. `stages` gets a copy of the model's weights at each report; None for no
    copies.
    """
    keras = importlib.import_module("keras")
    epochs = Epochs(training, blocks, generator)
    optimizer = keras.optimizers.Adam(
        _one_cycle(keras, training.peak_rate, training.warm_up, epochs.step_count),
        beta_1=training.momentum,
        beta_2=_SQUARED_GRADIENT_DECAY,
        weight_decay=training.weight_decay,
        use_ema=training.average is not None,
        ema_momentum=training.average or 0.0,
    )
    loss = _loss(keras, blocks.class_count, training.label_smoothing)
    loop = _train_compiled if keras.config.backend() == "tensorflow" else _train_with_keras

    def report(done: int, total: int, unit: str) -> None:
        if stages is not None:
            with _averaged(optimizer, model.trainable_variables):
                stages.append(model.get_weights())
        if on_progress is not None:
            on_progress(done, total, unit)

    loop(keras, model, optimizer, epochs, loss, report)


class Epochs:
    """The batches of a whole training, a block of an epoch at a time; `train` has its arguments."""

    def __init__(self, training: Training, blocks: Blocks, generator: np.random.Generator) -> None:
        self._blocks = blocks
        self._generator = generator
        self._distort = training.distort
        self.batch_size = min(training.batch_size, max(blocks.sizes))
        self._steps = [size // self.batch_size for size in blocks.sizes]
        self.steps_per_epoch = sum(self._steps)
        wanted = training.epochs
        if training.hard_epochs is not None and are_hard(*blocks[0]):
            wanted = training.hard_epochs
        self.count = max(wanted, -(-training.min_steps // self.steps_per_epoch))
        self.step_count = self.count * self.steps_per_epoch

    def __iter__(self) -> Iterator[tuple[Images, Labels]]:
        """Yield the images and labels of each block of each epoch in random order, whole batches only."""
        several = len(self._steps) > 1
        for _ in range(self.count):
            for number in self._generator.permutation(np.flatnonzero(self._steps)) if several else [0]:
                images, labels = self._blocks[number]
                order = self._generator.permutation(len(images))[: self._steps[number] * self.batch_size]
                images, labels = images[order], labels[order]
                if self._distort is not None:
                    images = self._distort(images[..., 0], self._generator)[..., None]
                yield images, labels
                del images  # the next ones take as much memory

    def progress(self, step: int) -> tuple[int, int, str] | None:
        """Return (done, total, unit) after `step` steps, or None if nothing is due.

        The unit is "epoch", or "step" in a training of one or two epochs.
        """
        if self.count > 2:
            return (
                None if step % self.steps_per_epoch else (step // self.steps_per_epoch, self.count, "epoch")
            )
        interval = max(1, self.steps_per_epoch // _REPORTS_PER_EPOCH)
        return (step, self.step_count, "step") if step % interval == 0 or step == self.step_count else None


def _train_compiled(
    keras: Any, model: Any, optimizer: Any, epochs: Epochs, loss: Loss, report: Progress
) -> None:
    """Train with TensorFlow: each call of one compiled function does a whole step."""
    tensorflow = importlib.import_module("tensorflow")
    variables, size = model.trainable_variables, epochs.batch_size
    optimizer.build(variables)

    @tensorflow.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(images: Any, labels: Any, start: Any) -> None:
        batch = tensorflow.ensure_shape(images[start : start + size], (size, *images.shape[1:]))
        with tensorflow.GradientTape() as tape:
            logits = model(batch, training=True)
            cost = keras.ops.mean(loss(labels[start : start + size], logits)) + sum(model.losses)
        optimizer.apply(tape.gradient(cost, variables), variables)

    done = 0
    for images, labels in epochs:
        in_memory = tensorflow.constant(images), tensorflow.constant(labels)
        starts = range(0, len(labels), size)
        del images, labels
        for start in starts:
            step(*in_memory, tensorflow.constant(start))
            done += 1
            if progress := epochs.progress(done):
                report(*progress)
        del in_memory  # the next ones take as much
    optimizer.finalize_variable_values(variables)


def _train_with_keras(
    keras: Any, model: Any, optimizer: Any, epochs: Epochs, loss: Loss, report: Progress
) -> None:
    """Train with Keras's own `fit`, on any backend."""
    size = epochs.batch_size

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        """The batches of the epoch that is being trained, which Keras asks for in their order."""

        def __init__(self) -> None:
            super().__init__()
            self._parts = iter(epochs)
            self._first, (self._images, self._labels) = 0, next(self._parts)

        def __len__(self) -> int:
            return epochs.steps_per_epoch

        def __getitem__(self, index: int) -> tuple[Images, Labels]:
            while (start := index * size - self._first) >= len(self._labels):
                self._first += len(self._labels)
                self._images, self._labels = next(self._parts)
            return self._images[start : start + size], self._labels[start : start + size]

        def on_epoch_end(self) -> None:
            self._first = 0
            self._images, self._labels = next(self._parts, (self._images, self._labels))

    class Report(keras.callbacks.Callback):  # type: ignore[misc]
        """Counts the steps."""

        done = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's names
            self.done += 1
            if progress := epochs.progress(self.done):
                _ = self.model  # on JAX, reading it gives the layers the weights that were trained so far
                report(*progress)

    # A second model of the same layers, so that the first stays free of the optimiser and its state.
    trained = keras.Model(model.inputs, model.outputs)
    trained.compile(optimizer=optimizer, loss=loss)
    trained.fit(Batches(), epochs=epochs.count, shuffle=False, verbose=0, callbacks=[Report()])


@contextlib.contextmanager
def _averaged(optimizer: Any, variables: Sequence[Any]) -> Iterator[None]:
    """Set variables temporarily to their running averages, if the optimiser has any."""
    if not optimizer.use_ema:
        yield
        return
    copy = importlib.import_module("keras").ops.copy
    trained = [copy(variable) for variable in variables]
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, values in zip(variables, trained, strict=True):
            variable.assign(values)


def _loss(keras: Any, class_count: int, label_smoothing: float) -> Loss:
    """Return the function of (labels, logits) that gives each image's cross-entropy."""

    def loss(labels: Any, logits: Any) -> Any:
        targets = keras.ops.one_hot(keras.ops.cast(labels, "int32"), class_count, dtype="float32")
        return keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=label_smoothing
        )

    return loss


def _one_cycle(keras: Any, peak: float, warm_up: float, step_count: int) -> Any:
    """Return a Keras schedule: cosine from peak / 25 up to peak at the share `warm_up`, then down to zero."""

    class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        """The learning rate as a function of the steps done."""

        def __call__(self, step: Any) -> Any:
            ops = keras.ops
            share = (ops.cast(step, "float32") + 0.5) / step_count
            climb = (1 - ops.cos(np.pi * share / max(warm_up, 1e-6))) / 2
            descent = (1 + ops.cos(np.pi * (share - warm_up) / (1 - warm_up))) / 2
            return peak * ops.where(share < warm_up, 1 / 25 + (1 - 1 / 25) * climb, descent)

        def get_config(self) -> dict[str, Any]:
            return {"peak": peak, "warm_up": warm_up, "step_count": step_count}

    return OneCycle()
