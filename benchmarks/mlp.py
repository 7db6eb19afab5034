"""Multilayer perceptron: two hidden layers, on images shifted by up to one pixel (Keras)."""

from mnistbench.estimators.distortions import RandomShift
from mnistbench.estimators.neural import NeuralClassifier, Training


def hidden_layers(layers):
    return [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dense(256, activation="relu")]


def build(
    keras,
    image_shape,
    epochs=5,
    hard_epochs=10,
    shift=1,
    batch_size=512,
    peak_rate=0.005,
    average=0.97,
    label_smoothing=0.05,
    sharpness=2.0,
):
    distort = RandomShift(shift)
    training = Training(
        epochs, batch_size, peak_rate, label_smoothing, average, hard_epochs=hard_epochs, distort=distort
    )
    return NeuralClassifier(hidden_layers, training, image_shape, sharpness=sharpness, **keras)
