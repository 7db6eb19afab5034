"""Three convolutional networks on distorted digits: as written, deskewed, and size-normalised (Keras)."""

from functools import partial

import numpy as np
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.distortions import RandomWarp
from mnistbench.estimators.neural import Committee, NeuralClassifier
from mnistbench.estimators.preprocessing import MomentNormalizer


def hidden_layers(layers):
    return [
        layers.Conv2D(32, 5, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
    ]


def committee(seed, keras, image_shape, scaling, elastic, **training):
    def network(number, **distortion):
        return NeuralClassifier(
            hidden_layers,
            image_shape,
            min_side=20,
            average=0.995,
            distort=RandomWarp(shift=1, elastic=elastic, **distortion),
            seed=int(seeds[number]),
            **keras,
            **training,
        )

    def upright(number, scaling):
        normalizer = MomentNormalizer(image_shape, scaling=scaling)
        return make_pipeline(normalizer, network(number, rotation=6, scale=0.1, shear=0.1))

    seeds = np.random.SeedSequence(seed).generate_state(3)
    as_written = network(0, rotation=10, scale=0.12, shear=0.15)
    return Committee([as_written, upright(1, scaling=0.0), upright(2, scaling=scaling)])


build = partial(
    committee,
    scaling=0.7,
    epochs=12,
    elastic=0.5,
    batch_size=128,
    peak_rate=0.004,
    label_smoothing=0.1,
    test_shift=1,
    sharpness=2.0,
)
