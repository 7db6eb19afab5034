"""Two convolutional networks on turned and bent digits: one sees them as written, one set upright (Keras)."""

import numpy as np
from sklearn.pipeline import make_pipeline

from mnistbench.neural import Committee, NeuralClassifier, RandomWarp, load_keras
from mnistbench.preprocessing import MomentNormalizer


def hidden_layers():
    from keras import layers

    return [
        layers.Conv2D(32, 5, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(256, activation="relu"),
        layers.Dropout(0.3),
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
    test_shift=1,
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
            average=0.995,
            distort=RandomWarp(shift=1, elastic=elastic, **distortion),
            test_shift=test_shift,
            precision=precision,
            seed=seed,
            threads=threads,
            backend=backend,
        )

    seeds = [int(state) for state in np.random.SeedSequence(seed).generate_state(2)]
    as_written = network(seeds[0], rotation=10, scale=0.12, shear=0.15)
    upright = network(seeds[1], rotation=6, scale=0.1, shear=0.1)
    return Committee([as_written, make_pipeline(MomentNormalizer(image_shape, scaling=scaling), upright)])
