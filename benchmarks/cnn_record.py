"""Convolutional network: four convolutions, trained on rotated, stretched and bent images (Keras)."""

from mnistbench.neural import NeuralClassifier, RandomWarp, load_keras


def hidden_layers():
    from keras import layers

    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(96, 3, activation="relu"),
        layers.Conv2D(96, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.4),
        layers.Dense(256, activation="relu"),
        layers.Dropout(0.4),
    ]


def build(
    seed,
    threads,
    image_shape,
    epochs=20,
    elastic=0.5,
    batch_size=128,
    peak_rate=0.003,
    test_shift=1,
    precision="auto",
    backend=None,
):
    load_keras(backend, threads)
    return NeuralClassifier(
        hidden_layers,
        image_shape,
        min_side=20,
        epochs=epochs,
        batch_size=batch_size,
        peak_rate=peak_rate,
        average=0.998,
        distort=RandomWarp(rotation=10, scale=0.1, shear=0.1, shift=2, elastic=elastic),
        test_shift=test_shift,
        precision=precision,
        seed=seed,
        threads=threads,
        backend=backend,
    )
