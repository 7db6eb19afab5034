"""Loads Keras on a backend, and wraps it as a thin classifier with scikit-learn's interface."""

import contextlib
import importlib
import importlib.metadata
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from mnistbench.estimators.arrays import Images, Labels, Progress, Rows, Scores
from mnistbench.estimators.blocks import Blocks, OneBlock, PreparedBlocks
from mnistbench.estimators.neural.training import Training, train
from mnistbench.estimators.optional import not_installed

_BACKENDS = ("tensorflow", "torch", "jax")
_PREDICTION_BATCH = 1_000


def load_keras(backend: str | None = None, threads: int | None = None) -> Any:
    """Import Keras on a backend and return the module; later calls return the same one.

    Keras chooses its backend on its first import, which takes seconds: call this before a timed fit. The
    suite does so for a model file whose `build` takes `keras`.

    Args:
        backend: "tensorflow", "torch" or "jax". None leaves the choice to KERAS_BACKEND and Keras's own
            configuration file, whose default is TensorFlow.
        threads: Number of threads that one operation may use. None leaves it to the library. JAX has no such
            setting: it uses the cores that the process may run on.

    Raises:
        ValueError: There is no such backend.
        ImportError: The backend, or Keras, is not installed.
        RuntimeError: This process already runs Keras on another backend.
    """
    if backend is not None and backend not in _BACKENDS:
        raise ValueError(f"backend is {backend!r}; expected one of {', '.join(_BACKENDS)}, or None")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The default only with AVX-512 VNNI; elsewhere convolutions would take twice as long without it.
    # With it, the last bits of a prediction depend on the row's position in its batch.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "keras" not in sys.modules and backend is not None:
        os.environ["KERAS_BACKEND"] = backend
    # Keras imports them if it can, for figures and for tables in place of arrays: half a second.
    with not_installed("matplotlib", "pandas"):
        keras = importlib.import_module("keras")
    running = keras.config.backend()
    if backend is not None and running != backend:
        raise RuntimeError(
            f"Keras already runs on {running} in this process; start a new one for the backend {backend}"
        )
    if threads is not None:
        _limit_threads(running, threads)
    return keras


def _limit_threads(backend: str, threads: int) -> None:
    if backend == "torch":
        importlib.import_module("torch").set_num_threads(threads)
    elif backend == "tensorflow":
        threading = importlib.import_module("tensorflow").config.threading
        if threading.get_intra_op_parallelism_threads() != threads:
            try:
                threading.set_intra_op_parallelism_threads(threads)
            except RuntimeError as error:
                raise RuntimeError(
                    f"TensorFlow has already started its threads; ask for {threads} before it first computes"
                ) from error


class NeuralClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A feed-forward network of Keras layers.

    A fitted classifier pickles as its configuration and weights. `hidden_layers` is left out, as it may come
    from a file that another process cannot import: what is unpickled predicts, but cannot be fitted again.

    Args:
        hidden_layers: Called with the module `keras.layers`, returns the layers between the input, of shape
            (height, width, 1), and the final dense layer of one logit per class.
        training: How it is trained.
        image_shape: (height, width) of the images in the rows of X. None means images one pixel high.
        min_side: Smaller images are centred among zero pixels to this height and width, for layers that need
            the room.
        test_shift: Predicts with the mean logits of the image and of four copies shifted by this many pixels
            up, down, left and right; 0 predicts with the image alone.
        sharpness: Multiplies the mean logits before the softmax that gives probabilities; it does not change
            the labels. After label smoothing, which shrinks the logits, more than 1 calibrates them
            (C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
            ICML 2017, whose temperature is its inverse).
        precision: "float32"; "bfloat16" for layers that compute in it and keep float32 weights; "auto" for
            bfloat16 where TensorFlow runs on a processor with instructions for it (AVX-512 BF16).
        seed: Seed of the weights, the shuffling and the distortion, which repeats the weights bit for bit on
            the same machine with the same number of threads. None draws one.
        threads: See `load_keras`.
        backend: See `load_keras`.

    Attributes:
        classes_: The labels, sorted, shape (k,).
        engine_: The libraries that trained it, as "keras 3.15.1 (tensorflow 2.21.0)".
        device_: "cpu", or the GPU's name.
        on_progress: None, or a function that `fit` calls as on_progress(done, total, "epoch"), and in a
            training of one or two epochs as on_progress(done, total, "step") five times an epoch.
        keep_stages: Whether `fit` keeps the weights at each of these reports, averaged if the final ones are,
            for `staged_predict`.
    """

    on_progress: Progress | None = None
    keep_stages: bool = False

    def __init__(
        self,
        hidden_layers: Callable[[Any], Sequence[Any]],
        training: Training,
        image_shape: tuple[int, int] | None = None,
        *,
        min_side: int = 1,
        test_shift: int = 0,
        sharpness: float = 1.0,
        precision: str = "auto",
        seed: int | None = None,
        threads: int | None = None,
        backend: str | None = None,
    ) -> None:
        self.hidden_layers = hidden_layers
        self.training = training
        self.image_shape = image_shape
        self.min_side = min_side
        self.test_shift = test_shift
        self.sharpness = sharpness
        self.precision = precision
        self.seed = seed
        self.threads = threads
        self.backend = backend

    def fit(self, X: Any, y: Any) -> Self:
        """Train on images X, float, shape (n, height * width), with labels y, shape (n,).

        Raises:
            ValueError: X or y is unsuitable, or a parameter is out of range.
            ImportError, RuntimeError: See `load_keras`.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 classes; y holds 1 class")
        if self.image_shape is not None and np.prod(self.image_shape) != X.shape[1]:
            raise ValueError(f"X has {X.shape[1]} pixels a row; image_shape is {self.image_shape}")
        images = self._images(X)
        return self._trained(OneBlock(images, encoded.astype(np.int32), len(self.classes_)), images.shape[1:])

    def fit_blocks(self, blocks: Blocks) -> Self:
        """Train on blocks of images and labels from 0 to k - 1, of which one at a time is in memory."""
        self.classes_ = np.arange(blocks.class_count)
        rows = blocks[0][0]
        self.n_features_in_ = rows.shape[1]
        return self._trained(PreparedBlocks(blocks, self._images), self._images(rows[:1]).shape[1:])

    def _trained(self, blocks: Blocks, shape: tuple[int, ...]) -> Self:
        """Train a network for images of a shape, (height, width, 1)."""
        keras = load_keras(self.backend, self.threads)
        precision = self._chosen_precision(keras)
        seeds = np.random.SeedSequence(self.seed)
        model = self._model(keras, shape, precision, int(seeds.generate_state(1)[0]))
        self._network, self._stages = _Network(keras, model), list[list[Any]]()
        self.engine_ = _engine(keras, precision)
        self.device_ = _device(keras)
        stages = self._stages if self.keep_stages else None
        generator = np.random.default_rng(seeds)
        train(model, self.training, blocks, generator, self.on_progress, stages)
        return self

    def predict(self, X: Any) -> Labels:
        """Return the most probable label of each row of X, shape (n,)."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[most_probable])

    def predict_proba(self, X: Any) -> Scores:
        """Return the probability of each class, float64, shape (n, k), columns as in `classes_`."""
        check_is_fitted(self, "_network")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        views = _shifted_views(self._images(X), self.test_shift)
        logits = np.mean([self._network.logits(view) for view in views], axis=0, dtype=np.float64)
        odds = np.exp(self.sharpness * (logits - logits.max(axis=1, keepdims=True)))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def staged_predict(self, X: Any, stages: Sequence[int] | None = None) -> Iterator[Labels]:
        """Yield the most probable label of each row of X, shape (n,), at each report of the training.

        There is none if `keep_stages` was false.

        Args:
            X: As for `predict`.
            stages: The reports, from 0, for which to predict. None is all.
        """
        for stage in range(len(self._stages)) if stages is None else stages:
            with self._network.set_to(self._stages[stage]):
                labels = self.predict(X)
            yield labels

    def _images(self, X: Rows) -> Images:
        """Return the rows of X as images, shape (n, height, width, 1), with sides of at least `min_side`."""
        height, width = self.image_shape or (1, X.shape[1])
        images = X.reshape(-1, height, width, 1)
        missing = [max(0, self.min_side - side) for side in (height, width)]
        if any(missing):
            margins = [(gap // 2, gap - gap // 2) for gap in missing]
            images = np.pad(images, [(0, 0), *margins, (0, 0)])
        return images

    def _model(self, keras: Any, shape: tuple[int, ...], precision: str, seed: int) -> Any:
        """Return the untrained network, its weights drawn from the seed."""
        policy, state = keras.config.dtype_policy(), random.getstate()
        keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
        random.seed(seed)  # Keras seeds each layer that has no seed of its own from Python's generator
        if keras.config.backend() == "torch":
            importlib.import_module("torch").manual_seed(seed)  # its dropout has no other seed
        try:
            logits = keras.layers.Dense(len(self.classes_), dtype="float32", name="logits")
            return keras.Sequential([keras.Input(shape), *self.hidden_layers(keras.layers), logits])
        finally:
            keras.config.set_dtype_policy(policy)
            random.setstate(state)

    def _chosen_precision(self, keras: Any) -> str:
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise ValueError(f"precision is {self.precision!r}; expected 'auto', 'float32' or 'bfloat16'")
        if self.precision != "auto":
            return self.precision
        suits = keras.config.backend() == "tensorflow" and _device(keras) == "cpu" and _multiplies_bfloat16()
        return "bfloat16" if suits else "float32"

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("on_progress", "keep_stages"):
            state.pop(name, None)
        if "_network" in state:
            state["hidden_layers"], state["_stages"] = None, []
        return state


class _Network:
    """A Keras model that pickles as its configuration and weights, which every backend can load."""

    def __init__(self, keras: Any, model: Any) -> None:
        self._backend = keras.config.backend()
        self._model = model
        self._function: Callable[[Any], Any] | None = None

    def logits(self, images: Images) -> Scores:
        """Return the logits, float32, shape (n, k), of images, float32, shape (n, height, width, 1)."""
        if self._backend != "tensorflow":
            logits = self._model.predict(images, batch_size=_PREDICTION_BATCH, verbose=0)
            return np.asarray(logits, dtype=np.float32)
        if self._function is None:
            self._function = self._compiled(images.shape[1:])
        starts = range(0, len(images), _PREDICTION_BATCH)
        return np.concatenate(
            [np.asarray(self._function(images[at : at + _PREDICTION_BATCH])) for at in starts]
        )

    @contextlib.contextmanager
    def set_to(self, weights: list[Any]) -> Iterator[None]:
        """Set the weights temporarily to these."""
        own = self._model.get_weights()
        self._model.set_weights(weights)
        try:
            yield
        finally:
            self._model.set_weights(own)

    def _compiled(self, shape: tuple[int, ...]) -> Callable[[Any], Any]:
        tensorflow, model = importlib.import_module("tensorflow"), self._model
        signature = [tensorflow.TensorSpec((None, *shape), "float32")]

        @tensorflow.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
        def logits(images: Any) -> Any:
            return model(images, training=False)

        return logits  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self._model.to_json(), "weights": self._model.get_weights()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        keras = load_keras()
        model = keras.models.model_from_json(state["config"])
        model.set_weights(state["weights"])
        self.__init__(keras, model)  # type: ignore[misc]


def _shifted_views(images: Images, pixels: int) -> Iterator[Images]:
    """Yield images, shape (n, height, width, 1), and copies shifted four ways and filled with zeros."""
    yield images
    if pixels == 0:
        return
    height, width = images.shape[1:3]
    padded = np.pad(images, [(0, 0), (pixels, pixels), (pixels, pixels), (0, 0)])
    for top, left in ((0, pixels), (2 * pixels, pixels), (pixels, 0), (pixels, 2 * pixels)):
        yield padded[:, top : top + height, left : left + width]


def _engine(keras: Any, precision: str) -> str:
    """Return the libraries and their versions, and the precision unless it is float32."""
    backend = keras.config.backend()
    parts = [f"{backend} {importlib.metadata.version(backend)}"]
    if precision != "float32":
        parts.append(precision)
    return f"keras {keras.version()} ({', '.join(parts)})"


def _device(keras: Any) -> str:
    """Return the name of the GPU that the backend computes on, or "cpu"."""
    backend = keras.config.backend()
    library = importlib.import_module(backend)
    if backend == "torch":
        return str(library.cuda.get_device_name()) if library.cuda.is_available() else "cpu"
    if backend == "jax":
        device = library.devices()[0]
        return "cpu" if device.platform == "cpu" else str(device.device_kind)
    gpus = library.config.list_physical_devices("GPU")
    if not gpus:
        return "cpu"
    details = library.config.experimental.get_device_details(gpus[0])
    return str(details.get("device_name", gpus[0].name))


def _multiplies_bfloat16() -> bool:
    """Return whether Linux reports the processor's instructions for products of bfloat16.

    They are AVX-512 BF16 (AMD from Zen 4 and Intel from Cooper Lake on), which AMX units always come with.
    """
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
