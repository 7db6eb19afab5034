"""Multilayer perceptron on the edge directions of deskewed digits and of distorted copies (Keras)."""

from functools import partial

from mnistbench.estimators.distortions import slight_warps
from mnistbench.estimators.neural import NeuralClassifier
from mnistbench.estimators.preprocessing import AugmentedPipeline, edge_directions


def recipe(seed, keras, image_shape, copies, scaling, widths, dropout, **training):
    def hidden_layers(layers):
        dense = []
        for width in widths:
            dense += [layers.Dense(width, activation="relu"), layers.Dropout(dropout)]
        # A row of edge directions has length 1; the weights start at a scale for values of about that size.
        return [layers.Flatten(), layers.Rescaling(8.0), layers.Dropout(dropout / 2), *dense]

    network = NeuralClassifier(hidden_layers, momentum=0.9, average=0.998, seed=seed, **keras, **training)
    steps = [("edges", edge_directions(image_shape, scaling)), ("network", network)]
    return AugmentedPipeline(steps, image_shape, slight_warps(image_shape), copies=copies, seed=seed)


build = partial(
    recipe, copies=9, scaling=0.7, epochs=4, widths=(512, 256), dropout=0.2, batch_size=512, peak_rate=0.003
)
