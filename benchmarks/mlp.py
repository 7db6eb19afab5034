"""Multilayer perceptron: two hidden layers, trained on the raw pixels (Keras)."""

from mnistbench.neural import NeuralClassifier, load_keras


def hidden_layers():
    from keras import layers

    return [
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(256, activation="relu"),
    ]


def build(
    seed, threads, image_shape, epochs=5, batch_size=128, peak_rate=0.003, precision="auto", backend=None
):
    load_keras(backend, threads)
    return NeuralClassifier(
        hidden_layers,
        image_shape,
        epochs=epochs,
        batch_size=batch_size,
        peak_rate=peak_rate,
        precision=precision,
        seed=seed,
        threads=threads,
        backend=backend,
    )
