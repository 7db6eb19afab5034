"""Multilayer perceptron: three wide hidden layers, trained on rotated, stretched and bent images (Keras)."""

from mnistbench.neural import NeuralClassifier, RandomWarp, load_keras


def hidden_layers():
    from keras import layers

    return [
        layers.Flatten(),
        layers.Dense(1536, activation="relu"),
        layers.Dense(1024, activation="relu"),
        layers.Dense(512, activation="relu"),
    ]


def build(
    seed,
    threads,
    image_shape,
    epochs=40,
    elastic=0.9,
    batch_size=1024,
    peak_rate=0.0015,
    precision="auto",
    backend=None,
):
    load_keras(backend, threads)
    return NeuralClassifier(
        hidden_layers,
        image_shape,
        epochs=epochs,
        batch_size=batch_size,
        peak_rate=peak_rate,
        average=0.995,
        distort=RandomWarp(rotation=12, scale=0.12, shear=0.15, shift=1, elastic=elastic),
        precision=precision,
        seed=seed,
        threads=threads,
        backend=backend,
    )
