"""Neural networks: a thin Keras classifier with the contract of scikit-learn, trained in seconds."""

from mnistbench.neural.augmentation import RandomShift, RandomWarp
from mnistbench.neural.classifier import NeuralClassifier, load_keras
from mnistbench.neural.committee import Committee

__all__ = ["Committee", "NeuralClassifier", "RandomShift", "RandomWarp", "load_keras"]
