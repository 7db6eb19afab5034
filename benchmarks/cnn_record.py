"""Three convolutional networks on bent digits: as written, set upright, and brought to one size (Keras)."""

import numpy as np
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.neural import Committee, NeuralClassifier, RandomWarp, load_keras
from mnistbench.estimators.preprocessing import MomentNormalizer


def hidden_layers():
    from keras import layers

    return [
        layers.Conv2D(32, 5, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
    ]


def build(
    seed,
    threads,
    image_shape,
    scaling=0.7,
    epochs=12,
    elastic=0.5,
    batch_size=128,
    peak_rate=0.004,
    label_smoothing=0.1,
    test_shift=1,
    sharpness=2.0,
    precision="auto",
    backend=None,
):
    load_keras(backend, threads)

    def network(seed, **distortion):
        return NeuralClassifier(
            hidden_layers,
            image_shape,
            min_side=20,
            epochs=epochs,
            batch_size=batch_size,
            peak_rate=peak_rate,
            label_smoothing=label_smoothing,
            average=0.995,
            distort=RandomWarp(shift=1, elastic=elastic, **distortion),
            test_shift=test_shift,
            sharpness=sharpness,
            precision=precision,
            seed=seed,
            threads=threads,
            backend=backend,
        )

    def normalized(seed, scaling):
        upright = MomentNormalizer(image_shape, scaling=scaling)
        return make_pipeline(upright, network(seed, rotation=6, scale=0.1, shear=0.1))

    seeds = [int(state) for state in np.random.SeedSequence(seed).generate_state(3)]
    as_written = network(seeds[0], rotation=10, scale=0.12, shear=0.15)
    return Committee([as_written, normalized(seeds[1], 0.0), normalized(seeds[2], scaling)])
