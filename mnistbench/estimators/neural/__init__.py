"""Neural networks: a thin Keras classifier with the contract of scikit-learn, trained in seconds."""

from mnistbench.estimators.neural.classifier import NeuralClassifier, load_keras
from mnistbench.estimators.neural.committee import Committee

__all__ = ["Committee", "NeuralClassifier", "load_keras"]
