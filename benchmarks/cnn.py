"""Convolutional network: two convolutions and a dense layer, on images shifted by up to one pixel (Keras)."""

from functools import partial

from mnistbench.estimators.distortions import RandomShift
from mnistbench.estimators.neural import NeuralClassifier


def hidden_layers(layers):
    return [
        layers.Conv2D(24, 5, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
    ]


def network(seed, keras, image_shape, shift, **training):
    return NeuralClassifier(
        hidden_layers, image_shape, min_side=14, distort=RandomShift(shift), seed=seed, **keras, **training
    )


build = partial(
    network, epochs=2, shift=1, batch_size=128, peak_rate=0.01, label_smoothing=0.1, sharpness=2.0
)
