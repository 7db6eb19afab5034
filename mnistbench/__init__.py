"""A benchmark suite for classical machine learning on MNIST, with numbers that can be checked."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: reading package metadata takes longer than the rest."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mnistbench")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"
