"""Convolutional network: two convolutions and a dense layer, on pixels shifted by at most one (Keras)."""

from mnistbench.estimators.neural import NeuralClassifier, RandomShift, load_keras


def hidden_layers():
    from keras import layers

    return [
        layers.Conv2D(24, 5, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
    ]


def build(
    seed,
    threads,
    image_shape,
    epochs=2,
    shift=1,
    batch_size=128,
    peak_rate=0.01,
    label_smoothing=0.1,
    sharpness=2.0,
    precision="auto",
    backend=None,
):
    load_keras(backend, threads)
    return NeuralClassifier(
        hidden_layers,
        image_shape,
        min_side=14,
        epochs=epochs,
        batch_size=batch_size,
        peak_rate=peak_rate,
        label_smoothing=label_smoothing,
        distort=RandomShift(shift),
        sharpness=sharpness,
        precision=precision,
        seed=seed,
        threads=threads,
        backend=backend,
    )
