"""Multilayer perceptron: two hidden layers, on images shifted by up to one pixel (Keras)."""

from functools import partial

from mnistbench.estimators.distortions import RandomShift
from mnistbench.estimators.neural import NeuralClassifier


def hidden_layers(layers):
    return [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dense(256, activation="relu")]


def network(seed, keras, image_shape, shift, **training):
    return NeuralClassifier(
        hidden_layers, image_shape, distort=RandomShift(shift), seed=seed, **keras, **training
    )


build = partial(
    network,
    epochs=4,
    shift=1,
    batch_size=256,
    peak_rate=0.003,
    average=0.98,
    label_smoothing=0.05,
    sharpness=2.0,
)
