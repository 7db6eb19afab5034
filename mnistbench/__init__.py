"""A benchmark suite for classical machine learning on MNIST, with numbers that can be checked."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("mnistbench")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
