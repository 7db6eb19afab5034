"""Convolutional network: two convolutions and a dense layer, on images shifted by up to one pixel (Keras)."""

from mnistbench.estimators.distortions import RandomShift
from mnistbench.estimators.neural import NeuralClassifier, Training


def hidden_layers(layers):
    return [
        layers.Conv2D(24, 5, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
    ]


def build(
    keras,
    image_shape,
    epochs=4,
    shift=1,
    batch_size=128,
    peak_rate=0.01,
    label_smoothing=0.1,
    sharpness=2.0,
):
    training = Training(epochs, batch_size, peak_rate, label_smoothing, distort=RandomShift(shift))
    return NeuralClassifier(hidden_layers, training, image_shape, min_side=14, sharpness=sharpness, **keras)
