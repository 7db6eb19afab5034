"""Multilayer perceptron on the edge directions of upright digits, trained on bent copies too (Keras)."""

from mnistbench.estimators.neural import NeuralClassifier, RandomWarp, load_keras
from mnistbench.estimators.preprocessing import AugmentedPipeline, MomentNormalizer, OrientationHistograms


def build(
    seed,
    threads,
    image_shape,
    copies=9,
    scaling=0.7,
    epochs=4,
    widths=(512, 256),
    dropout=0.2,
    batch_size=512,
    peak_rate=0.003,
    precision="auto",
    backend=None,
):
    load_keras(backend, threads)

    def hidden_layers():
        from keras import layers

        dense = [
            layer
            for width in widths
            for layer in (layers.Dense(width, activation="relu"), layers.Dropout(dropout))
        ]
        # Rows come with length 1; weights are initialised for values of about that size each.
        return [layers.Flatten(), layers.Rescaling(8.0), layers.Dropout(dropout / 2), *dense]

    side = min(image_shape)
    network = NeuralClassifier(
        hidden_layers,
        epochs=epochs,
        batch_size=batch_size,
        peak_rate=peak_rate,
        momentum=0.9,
        average=0.998,
        precision=precision,
        seed=seed,
        threads=threads,
        backend=backend,
    )
    return AugmentedPipeline(
        [
            ("upright", MomentNormalizer(image_shape, scaling=scaling)),
            ("edges", OrientationHistograms(image_shape, strides=(side / 7, side / 4))),
            ("network", network),
        ],
        image_shape=image_shape,
        distort=RandomWarp(rotation=5, scale=0.1, shear=0.1, elastic=0.025 * side, images_per_warp=16),
        copies=copies,
        seed=seed,
    )
