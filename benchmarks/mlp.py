"""Multilayer perceptron: two hidden layers, on pixels shifted by at most one (Keras)."""

from mnistbench.estimators.neural import NeuralClassifier, RandomShift, load_keras


def hidden_layers():
    from keras import layers

    return [
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(256, activation="relu"),
    ]


def build(
    seed,
    threads,
    image_shape,
    epochs=4,
    shift=1,
    batch_size=256,
    peak_rate=0.003,
    average=0.98,
    label_smoothing=0.05,
    sharpness=2.0,
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
        label_smoothing=label_smoothing,
        average=average,
        distort=RandomShift(shift),
        sharpness=sharpness,
        precision=precision,
        seed=seed,
        threads=threads,
        backend=backend,
    )
