"""Neural networks: a thin Keras classifier with the contract of scikit-learn, trained in seconds."""

from mnistbench.neural.augmentation import RandomShift, RandomWarp
from mnistbench.neural.classifier import NeuralClassifier, load_keras

__all__ = ["NeuralClassifier", "RandomShift", "RandomWarp", "load_keras"]
