"""Convolutional network: three convolutions, trained on upright digits that are turned and bent (Keras)."""

from sklearn.pipeline import make_pipeline

from mnistbench.neural import NeuralClassifier, RandomWarp, load_keras
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
    network = NeuralClassifier(
        hidden_layers,
        image_shape,
        min_side=20,
        epochs=epochs,
        batch_size=batch_size,
        peak_rate=peak_rate,
        average=0.995,
        distort=RandomWarp(rotation=6, scale=0.1, shear=0.1, shift=1, elastic=elastic),
        test_shift=test_shift,
        precision=precision,
        seed=seed,
        threads=threads,
        backend=backend,
    )
    return make_pipeline(MomentNormalizer(image_shape, scaling=scaling), network)
