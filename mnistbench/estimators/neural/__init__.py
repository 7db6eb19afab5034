"""Neural networks: a thin Keras classifier with scikit-learn's interface, and committees of several."""

from mnistbench.estimators.neural.classifier import NeuralClassifier, load_keras
from mnistbench.estimators.neural.committee import Committee
from mnistbench.estimators.neural.training import Training

__all__ = ["Committee", "NeuralClassifier", "Training", "load_keras"]
