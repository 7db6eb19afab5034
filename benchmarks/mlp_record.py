"""Multilayer perceptron on the edge directions of deskewed digits and of distorted copies (Keras)."""

from mnistbench.estimators.neural import NeuralClassifier, Training
from mnistbench.estimators.preprocessing import edge_pipeline


def build(
    seed,
    keras,
    image_shape,
    copies=9,
    scaling=0.7,
    epochs=4,
    widths=(512, 256),
    dropout=0.2,
    batch_size=512,
    peak_rate=0.003,
):
    def hidden_layers(layers):
        dense = []
        for width in widths:
            dense += [layers.Dense(width, activation="relu"), layers.Dropout(dropout)]
        # A row of edge directions has length 1; the weights start at a scale for values of about that size.
        return [layers.Flatten(), layers.Rescaling(8.0), layers.Dropout(dropout / 2), *dense]

    training = Training(epochs, batch_size, peak_rate, average=0.998, momentum=0.9)
    network = NeuralClassifier(hidden_layers, training, **keras)
    return edge_pipeline(image_shape, scaling, network, copies=copies, seed=seed)
