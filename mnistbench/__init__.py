"""A benchmark suite for classical machine learning on MNIST, with numbers that can be checked."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnistbench.analysis.run import load_run

__all__ = ["__version__", "load_run"]


def __getattr__(name: str) -> Any:
    """Look up what takes long when it is asked for: pandas, and the package's metadata."""
    if name == "load_run":
        from mnistbench.analysis.run import load_run

        return load_run
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mnistbench")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
